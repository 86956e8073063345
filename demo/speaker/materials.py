"""Materials of the speaker: painted skin, teeth and eyes; wool, cloth and hair."""

from __future__ import annotations

import bpy
import numpy as np

from .skin import Texture


def painted_material(name: str, texture: Texture, glow: float) -> bpy.types.Material:
    """A painted surface under a clear coat that sends out ``glow`` of its colour as light of its own."""
    material = bpy.data.materials.new(name)
    nodes, links = _empty_tree(material)
    colour = _image_node(nodes, f"{name} colour", texture.colour, "sRGB")
    surface = _image_node(nodes, f"{name} surface", texture.surface, "Non-Color")
    channels, bump = nodes.new("ShaderNodeSeparateColor"), nodes.new("ShaderNodeBump")
    bump.inputs["Strength"].default_value, bump.inputs["Distance"].default_value = 0.35, 0.012
    links.new(surface.outputs["Color"], channels.inputs[0])
    links.new(channels.outputs[0], bump.inputs["Height"])
    shader = _dielectric(nodes, links, colour.outputs["Color"], channels.outputs[1], bump.outputs[0])
    if glow:
        emission, both = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeAddShader")
        emission.inputs["Strength"].default_value = glow
        links.new(colour.outputs["Color"], emission.inputs["Color"])
        links.new(shader, both.inputs[0])
        links.new(emission.outputs[0], both.inputs[1])
        shader = both.outputs[0]
    if texture.surface[..., 2].min() < 1.0:
        shader = _mix(nodes, links, channels.outputs[2], nodes.new("ShaderNodeBsdfTransparent").outputs[0], shader)
    links.new(shader, nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    return material


def _dielectric(
    nodes: bpy.types.Nodes,
    links: bpy.types.NodeLinks,
    colour: bpy.types.NodeSocket,
    roughness: bpy.types.NodeSocket,
    normal: bpy.types.NodeSocket,
) -> bpy.types.NodeSocket:
    """Diffuse under a clear coat; half the render time of a Principled BSDF."""
    diffuse, glossy = nodes.new("ShaderNodeBsdfDiffuse"), nodes.new("ShaderNodeBsdfGlossy")
    fresnel = nodes.new("ShaderNodeFresnel")
    fresnel.inputs["IOR"].default_value = 1.4
    links.new(colour, diffuse.inputs["Color"])
    links.new(roughness, glossy.inputs["Roughness"])
    for node in (diffuse, glossy, fresnel):
        links.new(normal, node.inputs["Normal"])
    limit = nodes.new("ShaderNodeMath")  # skin has no mirror-like rim
    limit.operation, limit.inputs[1].default_value = "MINIMUM", 0.12
    links.new(fresnel.outputs[0], limit.inputs[0])
    return _mix(nodes, links, limit.outputs[0], diffuse.outputs[0], glossy.outputs[0])


def _mix(
    nodes: bpy.types.Nodes,
    links: bpy.types.NodeLinks,
    factor: bpy.types.NodeSocket,
    first: bpy.types.NodeSocket,
    second: bpy.types.NodeSocket,
) -> bpy.types.NodeSocket:
    mix = nodes.new("ShaderNodeMixShader")
    for socket, source in zip(mix.inputs, (factor, first, second), strict=True):
        links.new(source, socket)
    return mix.outputs[0]


def _empty_tree(material: bpy.types.Material) -> tuple[bpy.types.Nodes, bpy.types.NodeLinks]:
    material.use_nodes = True
    material.node_tree.nodes.clear()
    return material.node_tree.nodes, material.node_tree.links


def _image_node(nodes: bpy.types.Nodes, name: str, pixels: np.ndarray, colour_space: str) -> bpy.types.Node:
    image = bpy.data.images.new(name, pixels.shape[1], pixels.shape[0])
    image.colorspace_settings.name = colour_space
    rgba = np.concatenate([pixels, np.ones((*pixels.shape[:2], 1))], axis=-1)
    image.pixels.foreach_set(rgba.astype(np.float32).ravel())
    image.pack()
    node = nodes.new("ShaderNodeTexImage")
    node.image = image
    return node


def matt_material(name: str, colour: tuple[float, float, float]) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    nodes, links = _empty_tree(material)
    diffuse = nodes.new("ShaderNodeBsdfDiffuse")
    diffuse.inputs["Color"].default_value, diffuse.inputs["Roughness"].default_value = (*colour, 1.0), 0.6
    links.new(diffuse.outputs[0], nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    return material


def hair_material(colour: tuple[float, float, float]) -> bpy.types.Material:
    """Strands that differ in shade, with the streaks of light that hair has."""
    material = bpy.data.materials.new("strands")
    nodes, links = _empty_tree(material)
    strand, shade, varied = (
        nodes.new("ShaderNodeHairInfo"),
        nodes.new("ShaderNodeMapRange"),
        nodes.new("ShaderNodeVectorMath"),
    )
    shade.inputs["To Min"].default_value, shade.inputs["To Max"].default_value = 0.55, 1.45
    varied.operation, varied.inputs[0].default_value = "SCALE", colour
    links.new(strand.outputs["Random"], shade.inputs["Value"])
    links.new(shade.outputs[0], varied.inputs["Scale"])
    diffuse, streak = nodes.new("ShaderNodeBsdfDiffuse"), nodes.new("ShaderNodeBsdfHair")
    streak.inputs["Color"].default_value = (0.5, 0.42, 0.34, 1.0)
    streak.inputs["RoughnessU"].default_value, streak.inputs["RoughnessV"].default_value = 0.35, 0.8
    links.new(varied.outputs[0], diffuse.inputs["Color"])
    both = nodes.new("ShaderNodeMixShader")
    both.inputs[0].default_value = 0.25
    links.new(diffuse.outputs[0], both.inputs[1])
    links.new(streak.outputs[0], both.inputs[2])
    links.new(both.outputs[0], nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    return material


def knitted_material(name: str, colour: tuple[float, float, float]) -> bpy.types.Material:
    """Wool in rows of little V-shaped stitches, darker between the ribs."""
    material = matt_material(name, colour)
    nodes, links = material.node_tree.nodes, material.node_tree.links
    u, v = np.meshgrid(*(2 * [(np.arange(128) + 0.5) / 128]))
    height = np.abs(np.sin(np.pi * (v + 0.45 * np.abs(2 * u - 1)))) * np.sqrt(np.abs(np.sin(2 * np.pi * u)))
    painted = _image_node(nodes, f"{name} colour", np.asarray(colour) * (0.55 + 0.6 * height[..., None]), "Non-Color")
    relief = _image_node(nodes, f"{name} relief", np.repeat(height[..., None], 3, axis=2), "Non-Color")
    bump, diffuse = nodes.new("ShaderNodeBump"), nodes["Diffuse BSDF"]
    bump.inputs["Strength"].default_value, bump.inputs["Distance"].default_value = 0.6, 0.04
    links.new(painted.outputs["Color"], diffuse.inputs["Color"])
    links.new(relief.outputs["Color"], bump.inputs["Height"])
    links.new(bump.outputs[0], diffuse.inputs["Normal"])
    return material

"""The operators of the add-on, one file for each action of the user."""

from __future__ import annotations

from .audio_offset import S2L_OT_fix_offset, S2L_OT_measure_offset
from .cancel import S2L_OT_cancel_job
from .check import S2L_OT_check_footage
from .check_view import S2L_OT_check_view
from .choose_face import S2L_OT_find_faces
from .create_head import S2L_OT_create_head
from .dub import S2L_OT_dub_strip
from .dub_all import S2L_OT_dub_all
from .dub_still import S2L_OT_dub_still
from .engine import S2L_OT_check_engine, S2L_OT_copy_report
from .engine_setup import CLASSES as SETUP_CLASSES
from .estimate import S2L_OT_estimate_dub, S2L_OT_estimate_still, S2L_OT_estimate_training
from .label_synthetic import S2L_OT_add_label
from .match_camera import S2L_OT_match_camera
from .presets import S2L_OT_add_preset
from .preview_frame import S2L_OT_preview_frame, S2L_OT_preview_still
from .queue_entries import CLASSES as QUEUE_CLASSES
from .redo import S2L_OT_redo, S2L_OT_redo_with_changes
from .speakers import S2L_OT_add_speaker, S2L_OT_remove_speaker, S2L_OT_revoke_consent, S2L_OT_use_speaker
from .submit import S2L_OT_cancel_submit, S2L_OT_submit
from .tracked_pose import S2L_OT_toggle_tracked_pose
from .train import S2L_OT_train_speaker
from .verify_result import S2L_OT_verify_result

CLASSES = (
    S2L_OT_check_footage,
    S2L_OT_find_faces,
    S2L_OT_measure_offset,
    S2L_OT_fix_offset,
    S2L_OT_train_speaker,
    S2L_OT_dub_strip,
    S2L_OT_dub_still,
    S2L_OT_dub_all,
    S2L_OT_submit,
    S2L_OT_cancel_submit,
    S2L_OT_preview_frame,
    S2L_OT_preview_still,
    S2L_OT_estimate_training,
    S2L_OT_estimate_dub,
    S2L_OT_estimate_still,
    S2L_OT_add_preset,
    S2L_OT_add_speaker,
    S2L_OT_remove_speaker,
    S2L_OT_use_speaker,
    S2L_OT_revoke_consent,
    S2L_OT_add_label,
    S2L_OT_create_head,
    S2L_OT_match_camera,
    S2L_OT_toggle_tracked_pose,
    S2L_OT_check_view,
    S2L_OT_cancel_job,
    S2L_OT_check_engine,
    S2L_OT_copy_report,
    *SETUP_CLASSES,
    S2L_OT_redo,
    S2L_OT_redo_with_changes,
    S2L_OT_verify_result,
    *QUEUE_CLASSES,
)

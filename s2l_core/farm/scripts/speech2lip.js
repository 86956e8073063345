// SPDX-License-Identifier: GPL-3.0-or-later
//
// Job type of Flamenco 3 for plans of Speech2Lip. Copy this file to the folder "scripts" beside the manager.
// "s2l emit PLAN --for flamenco" writes the job, in which "tasks" and "roots" are JSON texts. A script of a job type
// cannot read files; that is why the tasks are a setting.

const JOB_TYPE = {
    label: "Speech2Lip",
    description: "Train, dub and render speakers",
    settings: [
        { key: "plan", type: "string", subtype: "dir_path", required: true, visible: "web",
          description: "Folder of the plan" },
        { key: "program", type: "string", required: true, default: "s2l", visible: "web",
          description: "Command line of Speech2Lip on the workers, or a variable of the manager such as {s2l}" },
        { key: "roots", type: "string", required: true, default: "{}", visible: "web",
          description: "Folders of the roots of the plan by name, as JSON; they may contain variables of the manager" },
        { key: "tasks", type: "string", required: true, visible: "hidden",
          description: "Names of the tasks and of those that each needs, as JSON" },
    ]
};

function compileJob(job) {
    const settings = job.settings;
    const options = rootOptions(JSON.parse(settings.roots));
    const authored = {};
    for (const planned of JSON.parse(settings.tasks)) {
        const task = author.Task(planned.name, "speech2lip");
        task.addCommand(author.Command("exec", {
            exe: settings.program,
            args: ["run", settings.plan, planned.name].concat(options),
        }));
        for (const name of planned.needs) {
            task.addDependency(authored[name]);
        }
        authored[planned.name] = task;
        job.addTask(task); // copies the task, so it comes last
    }
}

function rootOptions(roots) {
    const options = [];
    for (const name of Object.keys(roots).sort()) {
        options.push("--root", name + "=" + roots[name]);
    }
    return options;
}

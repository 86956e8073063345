// Stands in for the manager of Flamenco: node flamenco_author.js SCRIPT JOB prints the tasks that a job type compiles.
// As in the manager, addTask copies the task: what is added to it later is lost.

const fs = require("fs");
const vm = require("vm");

const [scriptPath, jobPath] = process.argv.slice(2);

class Task {
    constructor(name, type) {
        if (!name || !type) {
            throw new Error("a task needs a name and a type");
        }
        Object.assign(this, { name, type, commands: [], dependencies: [] });
    }
    addCommand(command) {
        this.commands.push(command);
    }
    addDependency(task) {
        if (!(task instanceof Task)) {
            throw new Error(`${this.name} depends on something that is not a task`);
        }
        this.dependencies.push(task.name);
    }
}

const author = {
    Task: (name, type) => new Task(name, type),
    Command: (name, parameters) => ({ name, parameters }),
};
const compiled = [];
const globals = vm.createContext({ author, print: () => {} });
vm.runInContext(fs.readFileSync(scriptPath, "utf-8") + "\nthis.JOB_TYPE = JOB_TYPE;", globals);

const submitted = JSON.parse(fs.readFileSync(jobPath, "utf-8"));
const settings = {};
for (const setting of globals.JOB_TYPE.settings) {
    const value = submitted.settings[setting.key] ?? setting.default;
    if (setting.required && value === undefined) {
        throw new Error(`the setting ${setting.key} is missing`);
    }
    settings[setting.key] = value;
}
const unknown = Object.keys(submitted.settings).filter((key) => !(key in settings));
if (unknown.length > 0) {
    throw new Error(`the job type has no setting ${unknown}`);
}
globals.compileJob({ ...submitted, settings, addTask: (task) => compiled.push(structuredClone({ ...task })) });
console.log(JSON.stringify(compiled));

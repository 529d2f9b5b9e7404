"""A scheduler on PATH: small programs named as Slurm's commands, with their state in a folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = r"""#!{python} -IS
import fcntl, json, os, re, signal, sys, time
from pathlib import Path

state = Path({state!r})
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
lock = open(state / "lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
with open(state / "calls", "a") as calls:
    calls.write(json.dumps([name, *arguments]) + "\n")


def behaviour(key):
    path = state / key
    if not path.exists():
        return None
    text = path.read_text()
    times, _, message = text.partition(" ")
    if times != "always":
        if int(times) == 0:
            return None
        path.write_text(str(int(times) - 1) + " " + message)
    return message


def option(key):
    return next((one.partition("=")[2] for one in arguments if one.startswith("--" + key + "=")), "")


if (message := behaviour("fail-" + name)) is not None:
    sys.exit(name + ": error: " + message)
jobs = {{int(path.stem): json.loads(path.read_text()) for path in state.glob("*.json")}}
if name == "sbatch":
    text = Path(arguments[-1]).read_text()
    found = {{key: value.strip("'") for key, value in re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.M)}}
    number = 1000 + len(jobs)
    if (limit := behaviour("job-limit")) is not None and len(jobs) >= int(limit):
        sys.exit("sbatch: error: QOSMaxSubmitJob")
    array = found.get("array")
    tasks = range(int(re.match(r"0-(\d+)", array)[1]) + 1) if array else ["N/A"]
    if (seconds := behaviour("slow-sbatch")) is not None:
        fcntl.flock(lock, fcntl.LOCK_UN)
        if seconds == "orphaned":
            os.kill(os.getppid(), signal.SIGKILL)
            while not (state / "go").exists():
                time.sleep(0.05)
        else:
            time.sleep(float(seconds))
    job = {{"name": found["job-name"], "file": arguments[-1], "tasks": {{str(task): "PENDING" for task in tasks}},
           "options": found, "environment": dict(os.environ)}}
    (state / f"{{number}}.json").write_text(json.dumps(job))
    if behaviour("die-after-sbatch") is not None:
        os.kill(os.getppid(), signal.SIGKILL)
    if (message := behaviour("lose-answer")) is not None:
        sys.exit("sbatch: error: " + message)
    print("Submitted batch job", number)
elif name == "squeue":
    if (answer := behaviour("answer-squeue")) is not None:
        print(answer)
        sys.exit()
    names = option("name").split(",")
    for number, job in jobs.items():
        for task, now in job["tasks"].items():
            if job["name"] in names and now in ("PENDING", "RUNNING", "COMPLETING"):
                print(number, task, now, "Resources" if now == "PENDING" else "None", job["name"], sep="|")
elif name == "sacct":
    print("JobID|State|NodeList")
    for number in map(int, option("jobs").split(",")):
        for task, now in jobs[number]["tasks"].items():
            print(f"{{number}}_{{task}}|{{now}}|node1")
            print(f"{{number}}_{{task}}.batch|{{now}}|node1")
elif name == "scancel":
    for job_id in arguments:
        number, _, task = job_id.partition("_")
        job = jobs[int(number)]
        job["tasks"] |= {{key: "CANCELLED by 0" for key in ([task] if task else job["tasks"])}}
        (state / f"{{number}}.json").write_text(json.dumps(job))
elif name == "scontrol" and arguments == ["show", "config"]:
    print("Configuration data as of now\nMaxArraySize            = " + (behaviour("max-array-size") or "1001"))
    print("MaxJobCount             = 10000")
elif name == "scontrol" and arguments[:3] == ["--oneliner", "show", "job"]:
    print("JobId=1 ArrayJobId=1 JobName=rdc JobState=" + (behaviour("job-state") or "RUNNING") + " Reason=None")
elif name == "srun":
    fcntl.flock(lock, fcntl.LOCK_UN)
    command = arguments[next(i for i, one in enumerate(arguments) if one[0] != "-" and arguments[i - 1] != "--output"):]
    if (line := behaviour("worker")) is None:
        os.execvp(command[0], command)
    code, *attempt = line.split()
    if attempt:
        folder = Path(os.environ["RDC_SWEEP_ROOT"], command[command.index("worker") + 1])
        with open(folder / "attempts.jsonl", "a") as attempts:
            attempts.write("{{}}\n")
    sys.exit(int(code))
"""

COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "srun", "sleep")


class Scheduler:
    """Puts the commands into a folder and looks at what they were asked."""

    def __init__(self, folder: Path) -> None:
        self.commands, self.state = folder / "bin", folder / "state"
        self.commands.mkdir(parents=True)
        self.state.mkdir()
        for name in COMMANDS:
            program = self.commands / name
            program.write_text(PROGRAM.format(python=sys.executable, state=str(self.state)))
            program.chmod(0o755)
        # Called often, so the wait must be short.
        (self.commands / "sleep").write_text(f'#!/bin/sh\necho "[\\"sleep\\", \\"$1\\"]" >> {self.state}/calls\n')

    @property
    def path(self) -> str:
        return f"{self.commands}{os.pathsep}{os.environ['PATH']}"

    def behave(self, key: str, message: str = "", times: int | None = None) -> None:
        """From now on (or so often) do something special, such as `fail-sbatch`."""
        (self.state / key).write_text(f"{'always' if times is None else times} {message}")

    def behave_well(self) -> None:
        for path in self.state.iterdir():
            if path.suffix != ".json" and path.name not in {"lock", "calls"}:
                path.unlink()

    def remove(self, command: str) -> None:
        (self.commands / command).unlink()

    def calls(self, command: str) -> list[list[str]]:
        try:
            lines = (self.state / "calls").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [arguments for name, *arguments in map(json.loads, lines) if name == command]

    def jobs(self) -> dict[str, dict[str, Any]]:
        """What was submitted, by the job's number."""
        return {path.stem: json.loads(path.read_text()) for path in sorted(self.state.glob("*.json"))}

    def set_state(self, job: str, task: int | str, state: str) -> None:
        path = self.state / f"{job}.json"
        record = json.loads(path.read_text())
        record["tasks"][str(task)] = state
        path.write_text(json.dumps(record))

    def finish_all(self, state: str = "FAILED") -> None:
        for job, record in self.jobs().items():
            for task in record["tasks"]:
                self.set_state(job, task, state)

    def execute(self, job: str, task: int | None, *, restarts: int = 0, **variables: str) -> int:
        """Run the job file as a node would; the exit code of the job."""
        record = self.jobs()[job]
        array = {} if task is None else {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": str(task)}
        done = subprocess.run(
            ["bash", record["file"]],
            env={
                **record["environment"],
                "SLURM_JOB_ID": job,
                "SLURM_RESTART_COUNT": str(restarts),
                **array,
                **variables,
            },
            timeout=240,
            capture_output=True,
            text=True,
        )
        (self.state / "output").write_text(done.stdout + done.stderr)
        return done.returncode

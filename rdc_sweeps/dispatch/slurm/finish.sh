# What becomes of a job when its worker ends; part of every job file, after the exit codes of workers by name.

# Slurm signals the worker. Bash must live on to see how it ended.
trap : TERM USR2

job=$SLURM_JOB_ID
[ -z "${SLURM_ARRAY_JOB_ID:-}" ] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID

# Lines that the run's workers have left; a worker that never started leaves none.
attempts() { wc -l 2>/dev/null < "$RDC_SWEEP_ROOT/${RUN_ID:-none}/attempts.jsonl" || echo 0; }

finish() {
    code=$1
    case $code in
        "$DONE" | "$LOCKED" | "$STOPPED") exit "$code" ;;
    esac
    if [ "$(attempts)" = "$attempts_before" ] && [ "$code" -ne "$PREEMPTED" ]; then
        # The node, the disk or the container failed before the worker could count its own attempts.
        [ "${SLURM_RESTART_COUNT:-0}" -lt 5 ] || exit "$code"
    elif [ "$code" -ne "$PREEMPTED" ] && [ "$code" -ne "$RETRY" ] && [ "$code" -lt 128 ]; then
        exit "$code"
    fi
    for _ in $(seq 40); do
        state=$(scontrol --oneliner show job "$job" 2>/dev/null | grep -o ' JobState=[A-Z_]*')
        case $state in
            ' JobState=RUNNING')
                echo "rdc-sweep: the worker ended with code $code; job $job is queued again" >&2
                # Slurm kills the job while it sleeps.
                scontrol requeue "$job" && sleep 600 && exit "$code"
                ;;
            ' JobState='*)
                # It is ending already: cancelled, or queued again by Slurm itself.
                exit "$code"
                ;;
        esac
        sleep 15
    done
    exit "$code"
}

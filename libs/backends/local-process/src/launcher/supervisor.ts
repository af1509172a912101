/**
 * A shell per attempt: it claims the attempt before anything runs (so that of two starts only one does), and writes how the
 * task ended, also when platform and launcher are gone by then. Builtins only; about 1 MB and one millisecond.
 *
 * Arguments: folder of the attempt, file for the exit record, what to run. The exit record of a warm worker has a
 * relative name, because its folder becomes the attempt's folder later; such a worker claims for itself.
 */
export const supervisorScript = `
dir=$1; exit=$2; shift 2
if [ "$dir" != - ]; then
  read -r boot < /proc/sys/kernel/random/boot_id
  read -r stat < /proc/$$/stat
  set -C
  { printf '%s\\n%s\\n' "$boot" "$stat" > "$dir/claim"; } 2>/dev/null || exit 97
  set +C
  cd "$dir/code" || exit 98
fi
{ echo 600 > /proc/self/oom_score_adj; } 2>/dev/null
trap : TERM INT HUP
"$@"
code=$?
{ echo "code=$code"; times; echo end; } > "$exit"
exit "$code"
`;

/** Exit status of a supervisor (or a forked child) that found the attempt claimed by another. */
export const claimedElsewhere = 97;

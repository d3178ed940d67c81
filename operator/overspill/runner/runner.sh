#!/bin/sh
# overspill-runner COMMAND [ARG...]: runs a workload's command and tells the operator how it fares.
# Travels as text (/bin/sh -c TEXT overspill-runner COMMAND...); all else comes from OVERSPILL_*,
# see docs/runner.md. POSIX sh (dash, busybox). No doubled dollar sign: Kubernetes would halve it.
set -u

token=${OVERSPILL_REPORT_TOKEN:-}
url=${OVERSPILL_REPORT_URL:+${OVERSPILL_REPORT_URL%/}/v1/report}
mode=${OVERSPILL_RUNNER_MODE:-exit}
beat=${OVERSPILL_HEARTBEAT_SECONDS:-15}
grace=${OVERSPILL_GRACE_SECONDS:-30}
patience=${OVERSPILL_HELLO_SECONDS:-10}
deadline=${OVERSPILL_HARD_DEADLINE:-0}
drop=
pid='' napping='' caught=''

has() { command -v "$1" >/dev/null 2>&1; }

nap() { # SECONDS: a sleep that a signal ends
  sleep "$1" &
  napping=$!
  wait "$napping"
}

coded() { # TEXT: encoded for a form
  printf %s "$1" | sed 's/%/%25/g; s/&/%26/g; s/+/%2B/g; s/ /+/g'
}

post() { # BODY: prints the answer; fails when none came. 409 means: this attempt is over.
  # shellcheck disable=SC2086  # $limit is a command and its argument, or nothing
  case $client in
    curl)
      said=$(printf 'header = "Authorization: Bearer %s"\n' "$token" |
        $limit curl -sS -m 15 -K - -w ' %{time_namelookup},%{time_connect} %{http_code}' \
          --data-binary "$1" "$url" 2>/dev/null) || return 1
      http=${said##* } said=${said% *}
      { printf '%s\n' "${said##* }" >"$drop/.trip"; } 2>/dev/null # told with the next report
      case $http in
        200) printf '%s\n' "${said% *}" ;;
        409) echo hold ;;
        *) return 1 ;;
      esac
      ;;
    wget)
      $limit wget -O - --header "Authorization: Bearer $token" --post-data "$1" "$url" \
        2>"$drop/.wget" || { grep -q ' 409[ :]' "$drop/.wget" && echo hold; }
      ;;
    python3)
      OVERSPILL_REPORT_TOKEN=$token $limit python3 -c 'import os, sys, urllib.request as u, urllib.error as e
r = u.Request(sys.argv[1], sys.argv[2].encode(), {"Authorization": "Bearer " + os.environ["OVERSPILL_REPORT_TOKEN"]})
try: print(u.urlopen(r, timeout=15).read(4096).decode())
except e.HTTPError as x: sys.exit(print("hold") if x.code == 409 else 1)
except OSError: sys.exit(1)' "$url" "$1"
      ;;
    *) return 1 ;;
  esac
}

read_checkpoint() { # sets uri and step from the drop directory
  uri='' step=''
  [ ! -r "$drop/checkpoint" ] || { read -r uri && read -r step; } <"$drop/checkpoint" || :
}

report() { # EVENT [EXIT_CODE]: one report with all that is known; prints the answer
  body="lease=$(coded "${OVERSPILL_LEASE:-}")&attempt=${OVERSPILL_ATTEMPT:-0}&event=$1${2:+&exit_code=$2}"
  read_checkpoint
  body="$body${uri:+&checkpoint_uri=$(coded "$uri")}${step:+&checkpoint_step=$(coded "$step")}"
  percent=''
  [ ! -r "$drop/progress" ] || read -r percent <"$drop/progress" || :
  trip=''
  [ ! -r "$drop/.trip" ] || read -r trip <"$drop/.trip" || :
  post "$body${percent:+&progress=$(coded "$percent")}${trip:+&trip=$trip}$gpus"
}

signal() { # NAME: to the command and everything it started
  # A signal between the fork and the command's own group would be lost: wait for the group.
  while [ -n "$group" ] && ! kill -0 "-$pid" 2>/dev/null && kill -0 "$pid" 2>/dev/null; do sleep 1; done
  kill "-$1" "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null
}

finish() { # ends the command on somebody's order: TERM, and KILL after the grace
  printf '' >"$drop/.ordered"
  signal TERM
  left=$grace
  while [ "$left" -gt 0 ] && kill -0 "$pid" 2>/dev/null; do
    sleep 1
    left=$((left - 1))
  done
  signal KILL
}

tell() { # WORD: leaves the operator's command for the workload
  echo "$1" >"$drop/.command" && mv -f "$drop/.command" "$drop/command"
}

obey() { # ANSWER to a heartbeat
  case $1 in
    checkpoint*)
      tell checkpoint
      if [ -e "$drop/handles-usr1" ]; then # a process id may stand in it, if not the command's
        who=''
        read -r who <"$drop/handles-usr1" || :
        kill -USR1 "${who:-$pid}" 2>/dev/null
      fi
      ;;
    stop* | hold*) [ -e "$drop/.ordered" ] || { tell stop && finish & } ;;
  esac
}

# Helpers also look for themselves whether the command lives: a signal right after a fork gets lost.

beats() { # beside the command: a heartbeat in time, and at once when a new checkpoint is durable
  trap 'kill "$napping" 2>/dev/null; exit' TERM
  age=0 told=''
  while nap 1 && kill -0 "$pid" 2>/dev/null; do
    age=$((age + 1))
    read_checkpoint
    [ "$age" -lt "$beat" ] && [ "$uri $step" = "$told" ] && continue
    age=0 told="$uri $step"
    answer=$(report heartbeat) && obey "$answer"
  done
}

watchdog() { # ends the command at the hard deadline, whoever is still there to ask for it
  trap 'kill "$napping" 2>/dev/null; exit' TERM
  while kill -0 "$pid" 2>/dev/null; do
    left=$((deadline - $(date +%s)))
    [ "$left" -gt 0 ] || { finish && return; }
    nap "$((left < 30 ? left : 30))"
  done
}

settle() { # EVENT [EXIT_CODE]: the last word, repeated until heard; in mode hold until closed
  [ "$mode $client" != "exit none" ] || return 0
  pause=1 tries=3
  [ "$1" != stopped ] || tries=1 # whoever ended us will not wait long
  while :; do
    if report "$@" >/dev/null; then
      [ "$mode" = hold ] || return 0
      pause=$((beat * 4))
    else
      tries=$((tries - 1))
      [ "$mode" = hold ] || [ "$tries" -gt 0 ] || return 0
      pause=$((pause * 2 < beat * 4 ? pause * 2 : beat * 4))
    fi
    nap "$pause"
  done
}

greet() { # asks whether the command may start, and from which checkpoint
  begun=$(date +%s)
  while [ "$client" != none ]; do
    answer=$(report hello) || answer=''
    case $answer in
      run\ *) export OVERSPILL_RESUME_URI="${answer#run }" && return ;;
      run) return ;;
      hold*) mode=hold && settle hello ;;
      # No answer: where an ended command is not started again, the work matters more.
      '') [ "$mode" = hold ] || [ $(($(date +%s) - begun)) -lt "$patience" ] || return ;;
    esac
    nap 2
  done
}

# shellcheck disable=SC2317  # called by the trap
on_signal() { # the place wants us to end
  caught=1
  [ -n "$pid" ] || { kill "$napping" 2>/dev/null; exit 143; }
  printf '' >"$drop/.ordered"
  signal TERM
}

trap on_signal TERM INT
name=overspill-${OVERSPILL_LEASE:-drop}
for drop in "${OVERSPILL_DROP_DIR:-${TMPDIR:-/tmp}/$name}" "/dev/shm/$name" "./.$name"; do
  mkdir -p "$drop" 2>/dev/null && break # some image has no place to write: then without
done
rm -f "$drop/.ordered" "$drop/command"
export OVERSPILL_DROP_DIR="$drop"
limit='' client=none group='' gpus=''
has timeout && limit='timeout 20'
for tool in curl wget python3; do
  [ -z "$url" ] || ! has "$tool" || { client=$tool && break; }
done
has setsid && group=setsid
# shellcheck disable=SC2086  # see post
has nvidia-smi && gpus=$($limit nvidia-smi --query-gpu=name,memory.total,uuid \
  --format=csv,noheader,nounits | sed 's/%/%25/g; s/&/%26/g; s/+/%2B/g; s/ /+/g; s/^/\&gpu=/' | tr -d '\n')

greet
# shellcheck disable=SC2086  # $group is a word or nothing
(unset OVERSPILL_REPORT_TOKEN && exec $group "$@") &
pid=$!
helpers=''
[ "$client" = none ] || { beats & helpers=$!; }
[ "$deadline" -le 0 ] || { watchdog & helpers="$helpers $!"; }

code=127
while :; do # a signal ends `wait` early; a second wait on an ended command answers 127
  caught=''
  wait "$pid"
  now=$?
  [ "$now" -eq 127 ] || code=$now
  [ -n "$caught" ] || break
done
pid=''
# shellcheck disable=SC2086  # a list of process ids
[ -z "$helpers" ] || kill $helpers 2>/dev/null
event=exited
[ ! -e "$drop/.ordered" ] || event=stopped
settle "$event" "$code"
# A command that saves and ends with 0 when told to end has not completed: no place may think so.
[ "$event" = exited ] || [ "$code" -ne 0 ] || code=143
exit "$code"

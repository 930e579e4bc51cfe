# Runs the steps of a backup or of a restore through the HTTP API of clickhouse-backup, and ends when all of them have.
#
# STEPS has one step in a line, `<host>|<command>`. The steps of a phase run at the same time; a line `--` ends a phase.
# Of a step that begins with `-` it does not matter how it ends.
#
# A Pod that takes the place of another goes on where that one was: the API's record of commands tells what has been
# done. Each command is one of a kind, because it names its run.
#
# Exit codes: 1, worth another Pod; 10, not. What is wrong is left for the kubelet: `<word>|<host>|<verb>|<text>`.
set -u
: "${PAUSE:=5}" "${READY_TRIES:=60}" "${FREE_TRIES:=360}" "${LOST_TRIES:=24}" "${REPORT:=/dev/termination-log}"

end() { # code word host command text
  text=$(printf '%s' "$5" | tr '\n' ' ' | head -c 1500)
  printf '%s|%s|%s|%s' "$2" "$3" "${4%% *}" "$text" >"$REPORT"
  printf 'failed: %s %s %s: %s\n' "$2" "$3" "${4%% *}" "$text" >&2
  exit "$1"
}

# Answers in $body and $code; 000 when nobody answers.
call() { # host path curl-arguments
  host=$1 path=$2
  shift 2
  answer=$(curl -sS -m 120 -u "$API_USERNAME:$API_PASSWORD" -w '\n%{http_code}' "$@" "http://$host$path" 2>/dev/null)
  code=${answer##*
}
  body=${answer%
*}
}

post() { # host command
  limit=120
  # A removal is answered when it is through.
  case "$2" in delete*) limit=1800 ;; esac
  call "$1" /backup/actions -m "$limit" -X POST -H 'Content-Type: application/json' -d "{\"command\":\"$2\"}"
}

is_locked() {
  case "$code $body" in
  423*) return 0 ;;
  *'operation is currently running'*) return 0 ;;
  esac
  return 1
}

# Posts as soon as no other command runs there.
post_when_free() { # host command
  tries=0
  post "$1" "$2"
  while is_locked; do
    tries=$((tries + 1))
    [ "$tries" -lt "$FREE_TRIES" ] || end 10 SidecarBusy "$1" "$2" "$body"
    sleep "$PAUSE"
    post "$1" "$2"
  done
}

# What the record says of a command: its status, and of its error the text.
look() { # host command
  call "$1" "/backup/actions?filter=$RUN"
  row=$(printf '%s\n' "$body" | grep -F "\"command\":\"$2\"" | tail -n 1)
  status=$(printf '%s' "$row" | sed -n 's/.*"status":"\([^"]*\)".*/\1/p')
  error=$(printf '%s' "$row" | sed -nE 's/.*"error":"(([^"\\]|\\.)*)".*/\1/p' | sed 's/\\[nt]/ /g; s/\\\(.\)/\1/g')
}

ready() { # host
  tries=0
  while :; do
    call "$1" /backup/version
    case "$code" in
    200) return ;;
    401 | 403) end 10 SidecarUnauthorized "$1" version "HTTP $code" ;;
    esac
    tries=$((tries + 1))
    [ "$tries" -lt "$READY_TRIES" ] || end 1 SidecarUnreachable "$1" version "HTTP $code"
    sleep "$PAUSE"
  done
}

# Removes what an earlier try has left under the name.
make_room() { # host command
  archive=${2##* }
  case "$2" in
  create_remote*)
    flags=${2#create_remote}
    post_when_free "$1" "delete local $archive"
    post_when_free "$1" "delete${flags% *} remote $archive"
    ;;
  download*) post_when_free "$1" "delete local $archive" ;;
  esac
}

begin() { # host command
  case "$2" in
  kill*)
    call "$1" /backup/kill -X POST -G --data-urlencode "command=${2#kill }"
    return
    ;;
  delete*)
    post_when_free "$1" "$2"
    [ "$code" = 200 ] || [ "$may_fail" = 1 ] || end 10 OperationFailed "$1" "$2" "$body"
    return
    ;;
  esac
  look "$1" "$2"
  case "$status" in
  success) return ;;
  'in progress') ;;
  *)
    make_room "$1" "$2"
    post_when_free "$1" "$2"
    [ "$code" = 200 ] || [ "$code" = 201 ] || end 1 OperationRefused "$1" "$2" "HTTP $code $body"
    ;;
  esac
  pending="$pending$1|$2
"
}

# Waits until every command that was begun has ended.
finish() {
  lost=0
  while [ -n "$pending" ]; do
    left=
    while IFS='|' read -r host command; do
      [ -n "$host" ] || continue
      look "$host" "$command"
      case "$status" in
      success) lost=0 && continue ;;
      error) end 10 OperationFailed "$host" "$command" "$error" ;;
      cancel) end 10 OperationCancelled "$host" "$command" "$error" ;;
      'in progress') lost=0 ;;
      *)
        # Silent, or started anew without its record.
        lost=$((lost + 1))
        [ "$lost" -lt "$LOST_TRIES" ] || end 1 OperationLost "$host" "$command" "HTTP $code"
        ;;
      esac
      left="$left$host|$command
"
    done <<END
$pending
END
    pending=$left
    [ -z "$pending" ] || sleep "$PAUSE"
  done
}

for host in $(printf '%s\n' "$STEPS" | sed -n 's/^-*\([^|]*\)|.*/\1/p' | sort -u); do
  ready "$host"
done
pending=
while IFS='|' read -r host command; do
  may_fail=0
  case "$host" in
  --) finish && continue ;;
  -*) may_fail=1 host=${host#-} ;;
  esac
  [ -z "$host" ] || begin "$host" "$command"
done <<END
$STEPS
END
finish
printf 'done\n' >&2

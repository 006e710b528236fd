#!/usr/bin/env bash
# Installs fixbot from the action's own checkout into $RUNNER_TEMP/fixbot, every package as uv.lock pins it by hash. Where tests are going to
# run it also installs bubblewrap. Started by action.yml with:
#   MODE                    check, run or deliver
#   PYTHON_VERSION          such as 3.13; empty: python3
#   ALLOW_USER_NAMESPACES   true: lift AppArmor's ban of them on this runner
set -euo pipefail

source="$GITHUB_ACTION_PATH"
home="$RUNNER_TEMP/fixbot"
restriction=kernel.apparmor_restrict_unprivileged_userns

fail() {
  echo "::error title=fixbot::$1"
  exit 1
}

may_act_as_root() {
  [[ $(id -u) == 0 ]] || sudo -n true 2>/dev/null
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

# What uv.lock says about one package, as pip wants it: a version and the hashes of its files.
pinned() {
  "$python" -I - "$1" "$source/uv.lock" <<'PYTHON'
import sys
import tomllib

name, lock = sys.argv[1:]
with open(lock, "rb") as file:
    package = next(one for one in tomllib.load(file)["package"] if one["name"] == name)
files = [one["hash"] for one in [*package.get("wheels", ()), package.get("sdist")] if one]
print(f"{name}=={package['version']}", *(f"--hash={one}" for one in files))
PYTHON
}

find_python() {
  [[ ${PYTHON_VERSION:-} =~ ^(3(\.[0-9]+)?)?$ ]] || fail "python-version must be like 3.13"
  python="$(type -P "python${PYTHON_VERSION:-3}")" || fail "there is no python${PYTHON_VERSION:-3} on PATH: use actions/setup-python before"
  "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "fixbot needs Python 3.11 or later: use actions/setup-python before"
}

install_fixbot() {
  "$python" -I -m venv "$home/tools"
  pinned uv >"$home/uv.txt"
  "$home/tools/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r "$home/uv.txt"
  local sync=("$home/tools/bin/uv" --directory "$source" sync --quiet --locked --no-default-groups --no-editable
    --python "$python" --no-python-downloads)
  export UV_PROJECT_ENVIRONMENT="$home/venv"
  unset VIRTUAL_ENV
  "${sync[@]}" --group build --no-install-project # what fixbot is built with comes from the lock, too
  "${sync[@]}" --group build --no-build-isolation
}

install_bubblewrap() {
  if ! type -P bwrap >/dev/null && type -P apt-get >/dev/null && may_act_as_root; then
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null
  fi
  if works; then return; fi
  if [[ $(sysctl -n "$restriction" 2>/dev/null || true) == 1 ]]; then
    if [[ ${ALLOW_USER_NAMESPACES:-} == true ]]; then
      if may_act_as_root; then as_root sysctl -q -w "$restriction=0"; fi
      if works; then return; fi
    else
      echo "::warning title=fixbot::AppArmor forbids user namespaces here, so tests run under Landlock instead of in bubblewrap:" \
        "without sockets, in a weaker sandbox. Set allow-user-namespaces: true, or run 'sudo sysctl -w $restriction=0' in a step before."
      return
    fi
  fi
  echo "::warning title=fixbot::bubblewrap does not work here, so tests run under Landlock, where the kernel has it, or not at all."
}

works() {
  bwrap --unshare-all --ro-bind / / true 2>/dev/null
}

main() {
  [[ $(uname -s) == Linux ]] || fail "fixbot needs a runner with Linux"
  mkdir -p "$home"
  find_python
  install_fixbot
  if [[ ${MODE:-} == run ]]; then install_bubblewrap; fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; fi

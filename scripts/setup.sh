# Sourced by the other scripts: finds Bun or installs it inside the project, and installs the packages of the lock file.
# Leaves the path of the Bun binary in $bun. Needs a POSIX shell, and Bun or npm.
bun_version=1.4.5
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"

say() { printf '==> %s\n' "$*" >&2; }

# Bun of this minor version or newer.
usable() { [ -n "$1" ] && [ -x "$1" ] && case $("$1" --version 2>/dev/null) in 1.[4-9]* | 1.[1-9][0-9]* | [2-9]*) true ;; *) false ;; esac; }

find_bun() {
  for candidate in "$(command -v bun 2>/dev/null)" "$root"/.kruiser/bun/node_modules/@oven/bun-*/bin/bun; do
    if usable "$candidate"; then bun=$candidate; return 0; fi
  done
  return 1
}

if ! find_bun; then
  if ! command -v npm >/dev/null 2>&1; then
    say "Neither Bun $bun_version nor npm was found. Install one of them (Bun, or Node.js with npm) and run this again."
    exit 1
  fi
  say "Bun was not found: installing it from npm into .kruiser/bun"
  # The package's install script may be blocked; the binary lies in the platform package all the same.
  npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error --prefix "$root/.kruiser/bun" "bun@$bun_version" >&2
  find_bun || { say "npm installed Bun, but no binary for this machine ($(uname -sm)) came with it."; exit 1; }
fi

if ! [ node_modules/.kruiser-lock -nt bun.lock ]; then
  say "Installing the packages of bun.lock"
  "$bun" install --frozen-lockfile --silent >&2
  touch node_modules/.kruiser-lock
fi

# The tools that the scripts start (biome, depcruise, the tests) run on this very Bun.
PATH="$(dirname -- "$bun"):$PATH"
export PATH

# A private state of apt, for scripts that fetch packages of the distribution without installing them. To be sourced.
# shellcheck shell=bash

# private_apt_conf takes over how this machine reaches its mirrors (proxies,
# certificates, timeouts) and leaves out everything that would act on the machine
# itself: hooks, the dpkg database, system-wide lists, logs. What counts as
# installed is told by a dpkg status file, for which the default is an empty one.
private_apt_conf() { # private_apt_conf DIRECTORY [STATUS_FILE]
  apt=$1
  mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/log" "$apt/dpkg"
  : >"$apt/dpkg/status"
  {
    apt-config dump | grep '^Acquire::' | grep -v -e 'DEP-11' -e '^Acquire::Changelogs' -e '^Acquire::Languages'
    echo 'Acquire::Languages "none";'
    echo 'Acquire::Retries "3";'
    echo "Dir::State \"$apt\";"
    echo "Dir::State::lists \"$apt/lists\";"
    echo "Dir::State::status \"${2:-$apt/dpkg/status}\";"
    echo "Dir::State::extended_states \"$apt/extended_states\";"
    echo "Dir::Cache \"$apt\";"
    echo "Dir::Cache::archives \"$apt/archives\";"
    echo "Dir::Log \"$apt/log\";"
    echo 'Dir::Etc::main "/dev/null";'
    echo 'Dir::Etc::parts "/dev/null";'
    echo 'Dir::Etc::preferences "/dev/null";'
    echo 'Dir::Etc::preferencesparts "/dev/null";'
    # The sandbox user of apt cannot enter a home directory; we are in one.
    [ "$(id -u)" -ne 0 ] || echo 'APT::Sandbox::User "root";'
    echo 'APT::Install-Recommends "0";'
    echo 'APT::Get::Assume-Yes "1";'
  } >"$apt/apt.conf"
}

# own_suites are the sources that this machine itself uses.
own_suites() {
  echo "Dir::Etc::sourcelist \"$(apt-config shell v Dir::Etc::sourcelist/f | sed "s/^v='//; s/'$//")\";"
  echo "Dir::Etc::sourceparts \"$(apt-config shell v Dir::Etc::sourceparts/d | sed "s/^v='//; s/'$//")\";"
}

private_apt() { APT_CONFIG=$apt/apt.conf LC_ALL=C "$@" </dev/null; }

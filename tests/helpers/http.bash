# HTTP servers for a test: `load helpers/http`, after common.
# shellcheck shell=bash disable=SC2034 # the tests use what is set here

# serves COMMAND…: starts an HTTP server in the background, and sets $url to its address.
serves() {
  LISTEN=127.0.0.1:0 spawn_server "$@" >server.log 2>&1
  await grep -q 'spawned uWSGI worker' server.log
  url=http://$(sed -n 's/.*bound to TCP address \([0-9.:]*\).*/\1/p' server.log)
}

# serves_script FILE: the same for a script that answers all requests.
serves_script() {
  serves uwsgi-core --plugin cgi --master --threads 16 --http-socket 127.0.0.1:0 --http-socket-modifier1 9 --cgi "$1"
}

# serves_files DIRECTORY: the same for the files in a directory.
serves_files() {
  cat >file-server <<END
#!/bin/sh
file=${1@Q}\${REQUEST_URI#/}
[ -f "\$file" ] || { printf 'Status: 404 Not Found\r\n\r\n'; exit; }
printf 'Content-Type: application/octet-stream\r\n\r\n'
cat "\$file"
END
  chmod +x file-server
  serves_script "$PWD/file-server"
}

# serves_releases DIRECTORY: serves the packages in this directory as a release, in the way that action.yml and
# gitlab-memolock.yml expect.
serves_releases() {
  mkdir -p served/memolock/memolock/releases/download
  ln -s "$(realpath "$1")" "served/memolock/memolock/releases/download/v$(project_version)"
  serves_files "$PWD/served/"
  export GITHUB_SERVER_URL=$url GITHUB_ACTION_REPOSITORY=memolock/memolock RUNNER_OS=Linux
  case $(uname -m) in
    x86_64) export RUNNER_ARCH=X64 ;;
    aarch64) export RUNNER_ARCH=ARM64 ;;
  esac
  export MEMOLOCK_RELEASES=$url/memolock/memolock/releases/download
}

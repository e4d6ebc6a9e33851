"""What is left after all calls have ended: processes, locks, keys that never expire, files."""
import os
import pathlib
import subprocess
import threading

from history import now

# Locks, values that are being uploaded, and keys without an expiry.
LEFT_ON_SERVER = '''
local left = {}
for _, name in ipairs(redis.call("KEYS", "prove*")) do
  if name:match("/lock:") or name:match("/part:") then
    left[#left + 1] = name
  elseif redis.call("PTTL", name) == -1 then
    left[#left + 1] = name .. " (for good)"
  end
end
return left'''


def processes(mark):
    """The processes with `mark` in their environment, except this one."""
    found = []
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            if mark in (folder / 'environ').read_bytes() and int(folder.name) != os.getpid():
                words = (folder / 'cmdline').read_bytes().replace(b'\0', b' ').decode(errors='replace')
                if words:  # not a zombie
                    found.append(f'process {folder.name}: {words[:200]}')
        except OSError:
            pass
    return found


def on_server(socket):
    ask = ['redis-cli', '-t', '2', '-s', socket]
    try:
        role = subprocess.run([*ask, 'role'], capture_output=True, text=True, timeout=5, check=False).stdout
        if not role.startswith('master'):
            return []
        left = subprocess.run([*ask, 'eval', LEFT_ON_SERVER, '0'], capture_output=True, text=True, timeout=5,
                              check=False).stdout
    except subprocess.TimeoutExpired:
        return []
    return [f'{line} at {socket}' for line in left.splitlines() if line.strip()]


def in_local_store(folder):
    if not os.path.isdir(folder):
        return []
    files = [path for path in pathlib.Path(folder, 'prove').rglob('*') if path.is_file()]
    return [str(path) for path in files if path.suffix not in ('.entry', '.failed', '.mark')]


def fallbacks():
    """The fallback stores, in which callers without a store can share a local lock: a directory for each store."""
    runtime = os.environ.get('XDG_RUNTIME_DIR')
    return [f'/tmp/memolock-{os.geteuid()}', *([f'{runtime}/memolock'] if runtime else [])]


def in_fallback(ids):
    """All files of these ids."""
    return [str(path) for name in ids for place in fallbacks() for path in pathlib.Path(place).glob(f'*/prove/*{name}*')]


def tidy():
    """Removes files of killed holders, which the next caller would remove too."""
    subprocess.run([os.environ['MEMOLOCK_BIN'], 'gc', '--store', 'local'], capture_output=True, check=False)


def all_of(mark, sockets, ids):
    left = processes(mark)
    for socket in sockets:
        left += on_server(socket)
    if not os.environ.get('MEMOLOCK_STORE'):
        left += in_local_store(os.environ.get('MEMOLOCK_CACHE_DIR', ''))
    return left + in_fallback(ids) + [str(path) for path in pathlib.Path(os.environ['TMPDIR']).iterdir()]


def after(patience, *what):
    """What still exists after this time. Returns as soon as there is nothing."""
    until = now() + patience
    while left := all_of(*what):
        tidy()
        if now() >= until:
            return left
        threading.Event().wait(0.1)
    return []

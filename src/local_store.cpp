#include "src/local_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "src/error.hpp"

namespace memolock {
namespace {

std::string joined(const std::string& folder, const std::string& name) { return folder + '/' + name; }

/// One lock operation on the whole of an open file. Returns 0 or the errno.
int lock_file(int fd, int operation, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  while (fcntl(fd, operation, &lock) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

/// Whether another open file holds an exclusive lock on this one.
bool is_held(int fd) {
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/// Opens a file of the store for reading; empty with errno set when there is none. A symbolic link, a FIFO, a device or
/// another user's file in its place counts as none.
Descriptor open_own(int folder, const std::string& name, int flags) {
  Descriptor file(openat(folder, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (!file || fstat(file.get(), &info) != 0) return {};
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid()) {
    errno = EPERM;
    return {};
  }
  return file;
}

uint64_t size_of(int file) {
  struct stat info {};
  return fstat(file, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

/// Whether `del` has marked the run of this file.
bool has_forgotten_mark(int file) {
  char mark = 0;
  return read_all_at(file, &mark, 1, forgotten_offset) == 1 && mark != 0;
}

/// An open entry file, or an open run file after its end.
class LocalEntry final : public Entry {
 public:
  /// Null when the file does not begin with a sound record.
  static std::unique_ptr<LocalEntry> open(Descriptor file) {
    std::string front(front_size, '\0');
    ssize_t got = read_all_at(file.get(), front.data(), front.size(), 0);
    if (got < 0) return nullptr;
    front.resize(static_cast<size_t>(got));
    const auto payload = payload_offset(front);
    if (!payload) return nullptr;
    if (*payload > front.size() && front.size() == front_size) {
      front.resize(*payload);
      got = read_all_at(file.get(), front.data(), front.size(), 0);
      if (got < 0 || static_cast<uint64_t>(got) < *payload) return nullptr;
    }
    auto record = decode(front);
    if (!record) return nullptr;
    return std::unique_ptr<LocalEntry>(new LocalEntry(std::move(file), std::move(front), *payload, std::move(*record)));
  }

  [[nodiscard]] const Record& record() const override { return record_; }

  [[nodiscard]] bool intact() override {
    const uint64_t size = record_.out_size + record_.err_size;
    if (size_of(file_.get()) != payload_ + size) return false;
    return hash_of(payload_, record_.out_size) == record_.out_hash &&
           hash_of(payload_ + record_.out_size, record_.err_size) == record_.err_hash;
  }

  [[nodiscard]] int replay(int out, int err) override {
    const int error = copy(payload_, record_.out_size, out);
    const int other = copy(payload_ + record_.out_size, record_.err_size, err);
    if (error != 0 && error != EPIPE) return error;
    return other == EPIPE ? 0 : other;
  }

 [[nodiscard]] uint64_t payload() const { return payload_; }

 private:
  // A small entry is read with one call, and its bytes are written from here.
  static constexpr size_t front_size = 8U << 10;

  LocalEntry(Descriptor file, std::string front, uint64_t payload, Record record)
      : file_(std::move(file)), front_(std::move(front)), payload_(payload), record_(std::move(record)) {}

  /// The part of the file that `front_` has.
  [[nodiscard]] std::optional<std::string_view> at_hand(uint64_t offset, uint64_t size) const {
    if (offset + size > front_.size()) return std::nullopt;
    return std::string_view(front_).substr(offset, size);
  }

  [[nodiscard]] uint64_t hash_of(uint64_t offset, uint64_t size) const {
    if (const auto bytes = at_hand(offset, size)) return checksum(*bytes);
    constexpr uint64_t step = 256U << 10;
    const auto buffer = std::make_unique_for_overwrite<char[]>(step);
    Checksum sum;
    while (size > 0) {
      const ssize_t got = read_all_at(file_.get(), buffer.get(), std::min(step, size), offset);
      if (got <= 0) return ~record_.out_hash;
      sum.add({buffer.get(), static_cast<size_t>(got)});
      offset += static_cast<uint64_t>(got);
      size -= static_cast<uint64_t>(got);
    }
    return sum.value();
  }

  [[nodiscard]] int copy(uint64_t offset, uint64_t size, int to) const {
    if (size == 0) return 0;
    if (const auto bytes = at_hand(offset, size)) return write_all(to, *bytes);
    return copy_range(file_.get(), offset, size, to);
  }

  Descriptor file_;
  std::string front_;
  uint64_t payload_;
  Record record_;
};

class LocalLock final : public Lock {
 public:
  /// Takes over the locked `lock` file.
  LocalLock(const std::string& directory, EntryFiles files, Descriptor folder, Descriptor lock)
      : path_(joined(directory, files.folder)),
        files_(std::move(files)),
        folder_(std::move(folder)),
        lock_(std::move(lock)),
        token_(new_token()) {}
  LocalLock(const LocalLock&) = delete;
  LocalLock& operator=(const LocalLock&) = delete;

  ~LocalLock() override { abandon(); }

  void abandon() final {
    if (!lock_) return;
    if (spool_) unlink_own(files_.run);
    release();
  }

  [[nodiscard]] const std::string& token() const override { return token_; }

  void begin(const Record& record) override {
    const std::string head = encode(record);
    // Nobody but the lock's owner touches this name, so what lies there is a dead owner's.
    unlink_own(files_.new_run);
    Descriptor run(openat(folder_.get(), files_.new_run.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!run) throw system_error(failure(files_.new_run), errno);
    int error = lock_file(run.get(), F_OFD_SETLK, F_WRLCK);
    if (error == 0) error = write_all_at(run.get(), head, 0);
    if (error == 0 && renameat(folder_.get(), files_.new_run.c_str(), folder_.get(), files_.run.c_str()) != 0) error = errno;
    if (error != 0) {
      unlink_own(files_.new_run);
      throw system_error(failure(files_.run), error);
    }
    spool_ = std::make_shared<Spool>(std::move(run), head.size(), folder_.get());
  }

  [[nodiscard]] std::shared_ptr<Spool> spool() override { return spool_; }

  [[nodiscard]] std::string control_path() override {
    unlink_own(files_.control);
    control_.reset(openat(folder_.get(), files_.control.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!control_) throw system_error(failure(files_.control), errno);
    return joined(path_, files_.control);
  }

  [[nodiscard]] std::string control_text() override {
    constexpr size_t largest = 64U << 10;
    std::string text(std::min<uint64_t>(size_of(control_.get()), largest), '\0');
    const ssize_t got = read_all_at(control_.get(), text.data(), text.size(), 0);
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
  }

  bool publish(const Record& record) override {
    // Whatever goes wrong on the way, the lock is released and the waiters wake.
    struct Finally {
      LocalLock& lock;
      ~Finally() { lock.release(); }
    } const finally{*this};
    if (record.fate == Fate::unstored) {
      finish(record, Fate::unstored);
      return true;
    }
    try {
      spool_->join();
    } catch (const Error&) {
      finish(record, Fate::unstored);
      throw;
    }
    if (record.fate == Fate::kept) return keep(record);
    finish(record, Fate::shared);
    return true;
  }

 private:
  bool keep(const Record& record) {
    if (is_forgotten()) {
      finish(record, Fate::shared);
      return false;
    }
    write_head(record);
    if (renameat(folder_.get(), files_.run.c_str(), folder_.get(), files_.entry.c_str()) != 0)
      throw system_error(failure(files_.entry), errno);
    // `del` marks the run before it unlinks the entry, so either it saw the entry or this sees the mark.
    if (!is_forgotten()) return true;
    unlink_own(files_.entry);
    return false;
  }

  /// Ends the run without storing it. The name goes first: an outcome is found under a name only if it is kept.
  void finish(Record record, Fate fate) {
    record.fate = fate;
    unlink_own(files_.run);
    write_head(record);
  }

  /// Nobody but `ls` reads the fixed part while the run file is locked. The forgotten byte belongs to `del`.
  void write_head(const Record& record) const {
    const std::string head = encode(record);
    const std::string_view bytes = head;
    const int file = spool_->file(Stream::out);
    int error = write_all_at(file, bytes.substr(forgotten_offset + 1), forgotten_offset + 1);
    if (error == 0) error = write_all_at(file, bytes.substr(0, forgotten_offset), 0);
    if (error != 0) throw system_error("cannot write to the store", error);
  }

  [[nodiscard]] bool is_forgotten() const { return has_forgotten_mark(spool_->file(Stream::out)); }

  void release() {
    if (control_) unlink_own(files_.control);
    if (spool_) lock_file(spool_->file(Stream::out), F_OFD_SETLK, F_UNLCK);
    unlink_own(files_.lock);
    lock_.reset();
  }

  void unlink_own(const std::string& name) const { unlinkat(folder_.get(), name.c_str(), 0); }
  [[nodiscard]] std::string failure(const std::string& name) const { return "cannot write " + joined(path_, name); }

  std::string path_;
  EntryFiles files_;
  Descriptor folder_;
  Descriptor lock_;
  Descriptor control_;
  std::string token_;
  std::shared_ptr<Spool> spool_;
};

class LocalWatch final : public Watch {
 public:
  LocalWatch(Descriptor file, Record run) : file_(std::move(file)), run_(std::move(run)) {}

  [[nodiscard]] const Record& run() const override { return run_; }
  [[nodiscard]] bool forgotten() const override { return has_forgotten_mark(file_.get()); }

  [[nodiscard]] Woken wait(Nanoseconds deadline, int interrupt) override {
    const auto sleeper = std::make_shared<Sleeper>();
    sleeper->file = std::move(file_);
    sleeper->awake.reset(eventfd(0, EFD_CLOEXEC));
    if (!sleeper->awake) throw system_error("cannot make an event descriptor", errno);
    // A lock can be waited for but not polled, hence the thread. It owns what it touches: when the deadline or a signal
    // comes first, it is left to sleep until the process ends.
    std::thread([sleeper] { sleeper->sleep(); }).detach();
    const Wake wake = await(sleeper->awake.get(), deadline, interrupt);
    if (wake != Wake::answered) return {wake, nullptr};
    auto entry = LocalEntry::open(std::move(sleeper->file));
    if (!entry || entry->record().fate == Fate::running) return {Wake::gone, nullptr};
    return {Wake::answered, std::move(entry)};
  }

 private:
  struct Sleeper {
    Descriptor file, awake;

    void sleep() const {
      lock_file(file.get(), F_OFD_SETLKW, F_RDLCK);
      const uint64_t one = 1;
      (void)!write(awake.get(), &one, sizeof one);
    }
  };

  static Wake await(int awake, Nanoseconds deadline, int interrupt) {
    std::array<pollfd, 2> waiting{{{.fd = awake, .events = POLLIN, .revents = 0},
                                   {.fd = interrupt, .events = POLLIN, .revents = 0}}};
    for (;;) {
      timespec rest{};
      if (deadline != forever) {
        const Nanoseconds left = std::max(deadline - boot_now(), Nanoseconds(0));
        rest.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count();
        rest.tv_nsec = (left % std::chrono::seconds(1)).count();
      }
      const int ready = ppoll(waiting.data(), waiting.size(), deadline == forever ? nullptr : &rest, nullptr);
      if (ready > 0) return waiting[0].revents != 0 ? Wake::answered : Wake::interrupted;
      if (ready == 0) return Wake::timed_out;
      if (errno != EINTR) throw system_error("cannot wait", errno);
    }
  }

  Descriptor file_;
  Record run_;
};

/// Makes a directory and what leads to it.
void make_directories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) throw system_error("cannot make " + part, errno);
    if (slash == std::string::npos) return;
  }
}

/// The names in a directory; none when it cannot be read.
std::vector<std::string> names_in(int folder, const std::string& name) {
  std::vector<std::string> names;
  Descriptor opened(openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  DIR* const directory = opened ? fdopendir(opened.get()) : nullptr;
  if (directory == nullptr) return names;
  (void)opened.release();
  while (const dirent* found = readdir(directory))  // NOLINT(concurrency-mt-unsafe)
    if (found->d_name[0] != '.') names.emplace_back(found->d_name);
  closedir(directory);
  return names;
}

}  // namespace

LocalStore::LocalStore(std::string directory, const Log& log)
    : directory_(std::filesystem::absolute(directory).lexically_normal()), log_(log) {
  while (directory_.size() > 1 && directory_.ends_with('/')) directory_.pop_back();
  constexpr int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  root_.reset(open(directory_.c_str(), flags));
  if (!root_ && errno == ENOENT) {
    make_directories(directory_);
    root_.reset(open(directory_.c_str(), flags));
  }
  struct stat info {};
  if (!root_ || fstat(root_.get(), &info) != 0) throw system_error("cannot open the store " + directory_, errno);
  if (info.st_uid != geteuid()) throw store_error("the store " + directory_ + " belongs to another user");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw store_error("others may write in the store " + directory_ + "; run: chmod go-w " + directory_);
}

std::unique_ptr<Entry> LocalStore::look_up(const Key& key) {
  const EntryFiles files(key);
  Descriptor file = open_own(root_.get(), joined(files.folder, files.entry), O_RDONLY);
  if (!file) {
    if (errno == ENOENT) return nullptr;
    if (errno != ELOOP && errno != EPERM && errno != ENXIO && errno != EISDIR && errno != ENOTDIR)
      throw system_error("cannot open " + joined(directory_, joined(files.folder, files.entry)), errno);
    log_.info("{}: what stands in the entry's place is no file of this user's; it counts as absent", key.shown());
    return nullptr;
  }
  auto entry = LocalEntry::open(std::move(file));
  if (entry && entry->record().fate == Fate::kept && entry->record().key == key) return entry;
  log_.info("{}: the stored entry is damaged or foreign; it counts as absent", key.shown());
  return nullptr;
}

std::unique_ptr<Lock> LocalStore::try_acquire(const Key& key) {
  EntryFiles files(key);
  const std::string where = joined(directory_, joined(files.folder, files.lock));
  for (;;) {
    Descriptor folder(openat(root_.get(), files.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!folder) {
      if (errno != ENOENT) throw system_error("cannot open " + joined(directory_, files.folder), errno);
      if (mkdirat(root_.get(), files.folder.c_str(), 0700) != 0 && errno != EEXIST)
        throw system_error("cannot make " + joined(directory_, files.folder), errno);
      continue;
    }
    Descriptor lock(openat(folder.get(), files.lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!lock) throw system_error("cannot open " + where, errno);
    const int error = lock_file(lock.get(), F_OFD_SETLK, F_WRLCK);
    if (error == EAGAIN || error == EACCES) return nullptr;
    if (error != 0) throw system_error("cannot lock " + where, error);
    // Its last owner may have unlinked it between the two calls: then the lock is on a file that nobody else will find.
    struct stat mine {};
    struct stat named {};
    if (fstat(lock.get(), &mine) == 0 && fstatat(folder.get(), files.lock.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
      return std::make_unique<LocalLock>(directory_, std::move(files), std::move(folder), std::move(lock));
  }
}

std::unique_ptr<Watch> LocalStore::watch(const Key& key) {
  const EntryFiles files(key);
  Descriptor file = open_own(root_.get(), joined(files.folder, files.run), O_RDONLY);
  if (!file || !is_held(file.get())) return nullptr;
  auto run = LocalEntry::open(Descriptor(fcntl(file.get(), F_DUPFD_CLOEXEC, 3)));
  if (!run || run->record().key != key) return nullptr;
  return std::make_unique<LocalWatch>(std::move(file), run->record());
}

bool LocalStore::knows(const Key& key) {
  if (look_up(key)) return true;
  const auto run = watch(key);
  return run && !run->forgotten();
}

bool LocalStore::forget(const Key& key) {
  const EntryFiles files(key);
  bool found = false;
  const Descriptor run = open_own(root_.get(), joined(files.folder, files.run), O_RDWR);
  if (run && is_held(run.get())) {
    if (const int error = write_all_at(run.get(), "", forgotten_offset))
      throw system_error("cannot mark the run of " + key.shown(), error);
    found = true;
  }
  const std::string entry = joined(files.folder, files.entry);
  if (unlinkat(root_.get(), entry.c_str(), 0) == 0) return true;
  if (errno != ENOENT && errno != ENOTDIR) throw system_error("cannot remove " + joined(directory_, entry), errno);
  return found;
}

void LocalStore::list(const std::function<void(const Listing&)>& each) {
  for (const std::string& folder : names_in(root_.get(), ".")) {
    std::vector<std::string> names = names_in(root_.get(), folder);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      const FileKind kind = kind_of_file(name);
      if (kind != FileKind::entry && kind != FileKind::run) continue;
      Descriptor file = open_own(root_.get(), joined(folder, name), O_RDONLY);
      const bool running = file && kind == FileKind::run && is_held(file.get());
      if (!file || (kind == FileKind::run && !running)) continue;
      // Of an entry that is being made anew the run alone is shown.
      if (kind == FileKind::entry && std::binary_search(names.begin(), names.end(), sibling(name, FileKind::run))) {
        const Descriptor run = open_own(root_.get(), joined(folder, sibling(name, FileKind::run)), O_RDONLY);
        if (run && is_held(run.get())) continue;
      }
      const uint64_t file_size = size_of(file.get());
      const auto entry = LocalEntry::open(std::move(file));
      if (!entry || (!running && entry->record().fate != Fate::kept)) continue;
      each({entry->record(), running, file_size - entry->payload()});
    }
  }
}

}  // namespace memolock

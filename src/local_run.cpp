#include "src/local_run.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include "src/error.hpp"

namespace memolock {
namespace {

/// One lock operation on the whole of an open file. Returns 0 or the errno.
int lock_file(int file, int operation, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  while (fcntl(file, operation, &lock) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

Descriptor duplicate(int file) { return Descriptor(fcntl(file, F_DUPFD_CLOEXEC, 3)); }

/// Whether `name` in `folder` is the file that is open as `file`. Between this and what is done
/// about it the name can change, but only by somebody who tampers with the store.
bool is_named(int folder, const std::string& name, int file) {
  struct stat mine {};
  struct stat named {};
  return fstat(file, &mine) == 0 &&
         fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

class LocalLock final : public Lock {
 public:
  /// Takes over the locked `lock` file.
  LocalLock(std::string path, EntryFiles files, Descriptor folder, Descriptor lock)
      : path_(std::move(path)),
        files_(std::move(files)),
        folder_(std::move(folder)),
        lock_(std::move(lock)),
        token_(new_token()) {}
  LocalLock(const LocalLock&) = delete;
  LocalLock& operator=(const LocalLock&) = delete;

  ~LocalLock() override {
    abandon();
    if (control_) remove(files_.control(token_));
  }

  void abandon() final {
    if (!lock_) return;
    remove_run();
    release();
  }

  /// Removes what a holder has left who died.
  void clear_leftovers() const {
    if (const OwnFile dead = open_own(folder_.get(), files_.run, O_RDONLY)) {
      const auto entry = LocalEntry::open({duplicate(dead.get()), dead.size});
      if (entry) remove(files_.control(entry->record().token));
      remove(files_.run);
    }
    remove(files_.new_run);
  }

  [[nodiscard]] const std::string& token() const override { return token_; }

  void begin(const Record& record) override {
    const std::string head = encode(record);
    clear_leftovers();
    Descriptor run = make_file(files_.new_run);
    int error = lock_file(run.get(), F_OFD_SETLK, F_WRLCK);
    if (error == 0) error = write_all_at(run.get(), head, 0);
    if (error == 0) error = rename_file(files_.new_run, files_.run);
    if (error != 0) {
      remove(files_.new_run);
      throw system_error(failure(files_.run), error);
    }
    spool_ = std::make_shared<Spool>(std::move(run), head.size(), folder_.get());
  }

  [[nodiscard]] std::shared_ptr<Spool> spool() override { return spool_; }

  [[nodiscard]] std::string control_path() override {
    control_ = make_file(files_.control(token_));
    return path_ + '/' + files_.control(token_);
  }

  [[nodiscard]] std::string take_control() override {
    if (!control_) return {};
    constexpr size_t largest = 64U << 10;
    std::string text(largest, '\0');
    const ssize_t got = read_all_at(control_.get(), text.data(), text.size(), 0);
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    remove(files_.control(token_));
    control_.reset();
    return text;
  }

  bool publish(const Record& record) override {
    // Whatever goes wrong on the way, the lock is released and the waiters wake.
    struct Finally {
      LocalLock& lock;
      ~Finally() { lock.abandon(); }
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
    if (!is_named(folder_.get(), files_.lock, lock_.get())) {
      finish(record, Fate::shared);
      throw store_error(path_ + '/' + files_.lock + " was removed during the run");
    }
    write_head(record);
    if (const int error = rename_file(files_.run, files_.entry))
      throw system_error(failure(files_.entry), error);
    // `del` marks the run before it unlinks the entry, so either it saw the entry or this sees the
    // mark.
    if (!is_forgotten()) return true;
    remove(files_.entry);
    return false;
  }

  /// Ends the run without storing it. The name goes first: an outcome is found under a name only if
  /// it is kept.
  void finish(Record record, Fate fate) {
    record.fate = fate;
    remove_run();
    write_head(record);
  }

  /// Nobody but `ls` reads the fixed part while the run file is locked. The forgotten byte belongs
  /// to `del`.
  void write_head(const Record& record) const {
    const std::string head = encode(record);
    const std::string_view bytes = head;
    const int file = spool_->file(Stream::out);
    int error = write_all_at(file, bytes.substr(forgotten_offset + 1), forgotten_offset + 1);
    if (error == 0) error = write_all_at(file, bytes.substr(0, forgotten_offset), 0);
    if (error != 0) throw system_error("cannot write to the store", error);
  }

  [[nodiscard]] bool is_forgotten() const { return has_forgotten_mark(spool_->file(Stream::out)); }

  void remove_run() const {
    if (spool_ && is_named(folder_.get(), files_.run, spool_->file(Stream::out)))
      remove(files_.run);
  }

  void release() {
    if (spool_) lock_file(spool_->file(Stream::out), F_OFD_SETLK, F_UNLCK);
    if (is_named(folder_.get(), files_.lock, lock_.get())) remove(files_.lock);
    lock_.reset();
  }

  [[nodiscard]] Descriptor make_file(const std::string& name) const {
    constexpr int flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW;
    Descriptor file(openat(folder_.get(), name.c_str(), flags, 0600));
    if (!file) throw system_error(failure(name), errno);
    return file;
  }
  /// Returns 0 or the errno.
  [[nodiscard]] int rename_file(const std::string& from, const std::string& to) const {
    return renameat(folder_.get(), from.c_str(), folder_.get(), to.c_str()) == 0 ? 0 : errno;
  }
  void remove(const std::string& name) const { unlinkat(folder_.get(), name.c_str(), 0); }
  [[nodiscard]] std::string failure(const std::string& name) const {
    return "cannot write " + path_ + '/' + name;
  }

  std::string path_;
  EntryFiles files_;
  Descriptor folder_;
  Descriptor lock_;
  Descriptor control_;
  std::string token_;
  std::shared_ptr<Spool> spool_;
};

OwnFile measured(Descriptor file) {
  struct stat info {};
  const bool known = fstat(file.get(), &info) == 0;
  return {std::move(file), known ? static_cast<uint64_t>(info.st_size) : 0};
}

class LocalWatch final : public Watch {
 public:
  LocalWatch(OwnFile file, Record run) : file_(std::move(file)), run_(std::move(run)) {}

  [[nodiscard]] const Record& run() const override { return run_; }
  [[nodiscard]] bool forgotten() const override { return has_forgotten_mark(file_.get()); }

  [[nodiscard]] Woken wait(Nanoseconds deadline, int interrupt) override {
    const auto sleeper = std::make_shared<Sleeper>();
    sleeper->file = std::move(file_.descriptor);
    sleeper->awake.reset(eventfd(0, EFD_CLOEXEC));
    if (!sleeper->awake) throw system_error("cannot make an event descriptor", errno);
    // A lock can be waited for but not polled, hence the thread. It owns what it touches: when the
    // deadline or a signal comes first, it is left to sleep until the process ends.
    Ready ready = Ready::readable;
    try {
      std::thread([sleeper] { sleeper->sleep(); }).detach();
      ready = await_readable(sleeper->awake.get(), interrupt, deadline);
    } catch (const std::system_error&) {
      ready = await_free(sleeper->file.get(), interrupt, deadline);
    }
    if (ready == Ready::timed_out) return {Wake::timed_out, nullptr};
    if (ready == Ready::interrupted) return {Wake::interrupted, nullptr};
    auto entry = LocalEntry::open(measured(std::move(sleeper->file)));
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

  /// Where no thread is to be had.
  static Ready await_free(int file, int interrupt, Nanoseconds deadline) {
    constexpr std::chrono::milliseconds pause(50);
    while (is_held(file)) {
      const Ready ready = await_readable(-1, interrupt, std::min(deadline, boot_now() + pause));
      if (ready == Ready::interrupted || boot_now() >= deadline) return ready;
    }
    return Ready::readable;
  }

  OwnFile file_;
  Record run_;
};
}  // namespace

bool is_held(int file) {
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  return fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

namespace {

std::unique_ptr<LocalLock> take_lock(std::string path, EntryFiles files, Descriptor folder) {
  const std::string where = path + '/' + files.lock;
  constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  for (;;) {
    // First without O_CREAT, which takes the folder's lock even where the file is there: after a
    // holder's death the one who gets the run lock would queue behind all the others for each name
    // he makes.
    Descriptor lock(openat(folder.get(), files.lock.c_str(), flags));
    if (!lock && errno == ENOENT)
      lock.reset(openat(folder.get(), files.lock.c_str(), flags | O_CREAT, 0600));
    if (!lock) throw system_error("cannot open " + where, errno);
    const int error = lock_file(lock.get(), F_OFD_SETLK, F_WRLCK);
    if (error == EAGAIN || error == EACCES) return nullptr;
    if (error != 0) throw system_error("cannot lock " + where, error);
    // Its last owner may have unlinked it between the two calls: then the lock is on a file that
    // nobody else will find.
    if (is_named(folder.get(), files.lock, lock.get()))
      return std::make_unique<LocalLock>(std::move(path), std::move(files), std::move(folder),
                                         std::move(lock));
  }
}

}  // namespace

std::unique_ptr<Lock> try_lock(std::string path, EntryFiles files, Descriptor folder) {
  return take_lock(std::move(path), std::move(files), std::move(folder));
}

void clear_dead(std::string path, EntryFiles files, int folder) {
  const auto exists = [&](const std::string& name) {
    return faccessat(folder, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  };
  if (!exists(files.lock) && !exists(files.run)) return;
  const auto lock = take_lock(std::move(path), std::move(files), duplicate(folder));
  if (lock) lock->clear_leftovers();
}

std::unique_ptr<Watch> watch_run(OwnFile file, const Key& key) {
  if (!is_held(file.get())) return nullptr;
  const auto run = LocalEntry::open({duplicate(file.get()), file.size});
  if (!run || run->record().key != key) return nullptr;
  return std::make_unique<LocalWatch>(std::move(file), run->record());
}

}  // namespace memolock

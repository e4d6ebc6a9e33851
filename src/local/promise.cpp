#include "src/local/promise.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "src/entry/token.hpp"
#include "src/local/mailbox.hpp"
#include "src/local/watch.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/file_names.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"
#include "src/system/random.hpp"

namespace memolock {
namespace {

class LocalPromise final : public Promise {
 public:
  /// `live` and `mailbox` are empty where there is no run; the latter, too, where the run is its
  /// holder's own affair.
  LocalPromise(std::string path, EntryFileNames files, Descriptor folder, Record run, LiveRun live,
               MailboxSender mailbox)
      : path_(std::move(path)),
        files_(std::move(files)),
        folder_(std::move(folder)),
        run_(std::move(run)),
        live_(std::move(live)),
        mailbox_(std::move(mailbox)),
        draft_(files_.answer(random_name())) {}
  ~LocalPromise() override { remove(draft_); }
  LocalPromise(const LocalPromise&) = delete;
  LocalPromise& operator=(const LocalPromise&) = delete;

  [[nodiscard]] const Record& run() const override { return run_; }

  [[nodiscard]] std::shared_ptr<Spool> spool() override {
    if (spool_) return spool_;
    Descriptor file;
    for (;;) {
      file = make_file(folder_.get(), draft_, O_RDWR | O_EXCL);
      if (file) break;
      const int error = errno;
      // `gc` may have removed the folder while it was empty.
      if (error != ENOENT || make_folder(AT_FDCWD, path_) != 0)
        throw system_error("cannot write " + path_ + '/' + draft_, error);
      folder_ = open_folder(AT_FDCWD, path_);
    }
    (void)try_lock_file(file.get());  // so that `gc` sees that somebody writes it
    return spool_ = std::make_shared<Spool>(std::move(file), encode(run_).size(), folder_.get());
  }

  [[nodiscard]] bool complete(const Record& record) override {
    spool()->join();
    if (const int error = write_all_at(spool()->file(Stream::out), encode(record), 0))
      throw system_error("cannot write " + path_ + '/' + draft_, error);
    if (live_ && mailbox_) return hand_in(record);
    // There is nobody to hand it to. What his run leaves, the holder stores over it.
    if (renameat(folder_.get(), draft_.c_str(), folder_.get(), files_.entry.c_str()) != 0)
      throw system_error("cannot write " + path_ + '/' + files_.entry, errno);
    (void)mailbox_.look();
    announce_entry(folder_.get(), files_);
    return true;
  }

  [[nodiscard]] bool renew(std::optional<Nanoseconds> life) override {
    // Without a mailbox the lock lives as long as its holder.
    return mailbox_ ? mailbox_.renew(life) && is_going_on() : static_cast<bool>(live_);
  }

 private:
  bool hand_in(const Record& record) {
    const std::string answer = files_.answer(run_.token);
    if (!give_name(answer)) {
      if (errno == EEXIST) return false;
      throw system_error("cannot write " + path_ + '/' + answer, errno);
    }
    if ((mailbox_.look() && is_going_on()) || is_taken(record)) return true;
    remove(answer);
    return false;
  }

  /// Gives the draft a name that nobody else has taken. False, with errno set: it cannot.
  [[nodiscard]] bool give_name(const std::string& name) const {
    const int folder = folder_.get();
    if (linkat(folder, draft_.c_str(), folder, name.c_str(), 0) == 0) return true;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) return false;
    // A file system without hard links. The name is taken first; what has it until the draft does
    // is no answer yet.
    constexpr int flags = O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW;
    const Descriptor taken(openat(folder, name.c_str(), flags, 0600));
    return taken && renameat(folder, draft_.c_str(), folder, name.c_str()) == 0;
  }

  /// Whether the holder lives, and has not ended the promise. Asked after it was told something, of
  /// which another sender may be the only reader.
  [[nodiscard]] bool is_going_on() const noexcept {
    std::array<pollfd, 1> wake{{{.fd = live_.wake.get(), .events = 0, .revents = 0}}};
    return mailbox_.is_open() && poll_for(wake, Nanoseconds(0)) == 0;
  }

  /// Whether the run that is over has ended with this answer.
  [[nodiscard]] bool is_taken(const Record& record) const {
    const auto run = EntryFile::open(live_.file.duplicate());
    return run && run->record().disposition != Disposition::running &&
           run->record().ended == record.ended;
  }

  void remove(const std::string& name) const { unlinkat(folder_.get(), name.c_str(), 0); }

  std::string path_;
  EntryFileNames files_;
  Descriptor folder_;
  Record run_;
  LiveRun live_;
  MailboxSender mailbox_;
  std::string draft_;
  std::shared_ptr<Spool> spool_;
};

}  // namespace

std::unique_ptr<Promise> local_promise(const std::string& directory, int root, const Key& key,
                                       const std::string& token) {
  EntryFileNames files(key);
  std::string path = directory + '/' + files.folder;
  Record run;
  run.key = key;
  LiveRun live;
  if (token.empty()) {
    if (const int error = make_folder(root, files.folder); error != 0 && error != EEXIST)
      throw system_error("cannot make " + path, error);
    run.token = random_name();
    run.producer = Producer::external;
    run.holder = this_process();
    run.begun = wall_now();
  } else {
    live = open_run(root, files, O_RDONLY);
    const auto seen = live ? EntryFile::open(live.file.duplicate()) : nullptr;
    if (!seen || seen->record().key != key || seen->record().token != token) return nullptr;
    run = seen->record();
  }
  Descriptor folder = open_folder(root, files.folder);
  if (!folder) throw system_error("cannot open " + path, errno);
  MailboxSender mailbox = MailboxSender::open(folder.get(), files.promise);
  return std::make_unique<LocalPromise>(std::move(path), std::move(files), std::move(folder),
                                        std::move(run), std::move(live), std::move(mailbox));
}

}  // namespace memolock

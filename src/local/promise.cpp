#include "src/local/promise.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "src/entry/token.hpp"
#include "src/local/fifo.hpp"
#include "src/local/watch.hpp"
#include "src/store/entry_writer.hpp"
#include "src/system/directory.hpp"
#include "src/system/error.hpp"
#include "src/system/file_lock.hpp"
#include "src/system/random.hpp"

namespace memolock {

PromiseHolder::PromiseHolder(int directory, const std::string& path, const EntryFileNames& files,
                             const std::string& token)
    : directory_(directory),
      mailbox_name_(files.promise),
      answer_name_(files.answer(token)),
      entry_name_(files.entry) {
  const auto previous = EntryFile::open_at(directory_, entry_name_);
  if (previous) previous_entry_ = previous->record().token;
  mailbox_.emplace(make_fifo(directory_, mailbox_name_, path));
}

PromiseHolder::~PromiseHolder() {
  remove_if_same_fifo(directory_, mailbox_name_, mailbox_->descriptor());
  // Before the answer's name is removed, so that a process that links an answer later can detect
  // that it will not be read.
  mailbox_.reset();
  unlinkat(directory_, answer_name_.c_str(), 0);
}

PromiseHolder::Result PromiseHolder::await(Nanoseconds life, int interrupt,
                                           WaitObserver& observer) {
  Nanoseconds deadline = after(boot_now(), life);
  const auto read_mailbox = [&] {
    if (const auto renewed = mailbox_->read(life))
      deadline = std::max(deadline, after(boot_now(), *renewed));
  };
  read_mailbox();
  for (;;) {
    if (auto answer = find_answer()) return {WakeReason::answered, std::move(answer)};
    const WaitEnd end = await_readable(mailbox_->descriptor(), interrupt,
                                       std::min(deadline, observer.next_notice()));
    if (end == WaitEnd::interrupted) return {WakeReason::interrupted, nullptr};
    if (end == WaitEnd::readable) read_mailbox();
    if (boot_now() < deadline) {
      if (end == WaitEnd::timed_out) observer.still_waiting();
      continue;
    }
    // If the name already exists, either an answer has just arrived, or the file is damaged.
    auto answer = refuse_answers() ? nullptr : find_answer();
    const WakeReason reason = answer ? WakeReason::answered : WakeReason::timed_out;
    return {reason, std::move(answer)};
  }
}

/// Null when there is none yet.
std::unique_ptr<EntryFile> PromiseHolder::find_answer() const {
  auto answer = EntryFile::open_at(directory_, answer_name_);
  if (!answer) {
    answer = EntryFile::open_at(directory_, entry_name_);
    if (answer && answer->record().token == previous_entry_) return nullptr;
  }
  if (!answer || !answer->is_intact()) return nullptr;
  return answer;
}

/// Creates the name that an answer would get. Returns false if it already exists.
bool PromiseHolder::refuse_answers() const {
  const auto file = make_file(directory_, answer_name_, O_WRONLY | O_EXCL);
  return file || errno != EEXIST;
}

namespace {

class LocalPromise final : public Promise {
 public:
  /// `live` is empty if there is no run; `mailbox` is also empty if the run is not a promise.
  LocalPromise(std::string path, EntryFileNames files, Descriptor directory, Record run,
               LiveRun live, MailboxSender mailbox)
      : path_(std::move(path)),
        files_(std::move(files)),
        directory_(std::move(directory)),
        run_(std::move(run)),
        live_(std::move(live)),
        mailbox_(std::move(mailbox)),
        draft_name_(files_.answer(random_name())) {}
  ~LocalPromise() override { remove(draft_name_); }
  LocalPromise(const LocalPromise&) = delete;
  LocalPromise& operator=(const LocalPromise&) = delete;

  [[nodiscard]] const Record& run_record() const override { return run_; }

  [[nodiscard]] std::shared_ptr<Spool> spool() override {
    if (!draft_) {
      Descriptor file = make_draft();
      (void)try_lock_file(file.get());  // shows `gc` that the file is being written
      draft_.emplace(std::move(file), directory_.get(), path_, draft_name_, run_);
    }
    return draft_->spool();
  }

  [[nodiscard]] bool complete(const Record& record) override {
    spool()->append_to_stdout_file();
    draft_->write_head(record);
    if (live_ && mailbox_) return submit(record);
    // No promise was identified, so the outcome becomes the entry. A run in progress later replaces
    // it with its own outcome, unless the run is a promise, which this entry answers.
    draft_->rename_to(files_.entry);
    (void)mailbox_.notify();
    announce_entry(directory_.get(), files_);
    return true;
  }

  [[nodiscard]] bool renew(std::optional<Nanoseconds> life) override {
    // A run without a mailbox is not a promise: its lock is held until its holder ends.
    return mailbox_ ? mailbox_.renew(life) && is_running() : static_cast<bool>(live_);
  }

 private:
  [[nodiscard]] Descriptor make_draft() {
    for (;;) {
      Descriptor file = make_file(directory_.get(), draft_name_, O_RDWR | O_EXCL);
      if (file) return file;
      const int error = errno;
      // `gc` may have removed the directory while it was empty.
      if (error != ENOENT || make_directory(AT_FDCWD, path_) != 0)
        throw system_error("cannot write " + path_ + '/' + draft_name_, error);
      directory_ = open_directory(AT_FDCWD, path_);
    }
  }

  [[nodiscard]] bool submit(const Record& record) const {
    const std::string answer = files_.answer(run_.token);
    if (!draft_->link_unless_taken(answer)) return false;
    if ((mailbox_.notify() && is_running()) || has_ended_with(record)) return true;
    remove(answer);
    return false;
  }

  /// Whether the holder is alive and has not ended the promise. Check it after notify() and
  /// renew(), whose record may have been read by another sender that makes room.
  [[nodiscard]] bool is_running() const noexcept {
    std::array<pollfd, 1> wake{{{.fd = live_.wake_fifo.get(), .events = 0, .revents = 0}}};
    return mailbox_.is_open() && poll_for(wake, Nanoseconds(0)) == 0;
  }

  [[nodiscard]] bool has_ended_with(const Record& answer) const {
    const auto run = EntryFile::open(live_.file.duplicate());
    return run && run->record().disposition != Disposition::running &&
           run->record().ended == answer.ended;
  }

  void remove(const std::string& name) const { unlinkat(directory_.get(), name.c_str(), 0); }

  std::string path_;
  EntryFileNames files_;
  Descriptor directory_;
  Record run_;
  LiveRun live_;
  MailboxSender mailbox_;
  std::string draft_name_;
  std::optional<EntryWriter> draft_;
};

/// The record for an outcome that is stored without a run.
Record record_without_run(const Key& key) {
  Record run;
  run.key = key;
  run.token = random_name();
  run.producer = Producer::external;
  run.holder = this_process();
  run.begun = wall_now();
  return run;
}

}  // namespace

std::unique_ptr<Promise> open_promise(const std::string& store_path, int root, const Key& key,
                                      const std::string& token) {
  EntryFileNames files(key);
  std::string path = store_path + '/' + files.directory;
  Record run;
  LiveRun live;
  if (token.empty()) {
    if (const int error = make_directory(root, files.directory); error != 0 && error != EEXIST)
      throw system_error("cannot create " + path, error);
    run = record_without_run(key);
  } else {
    live = open_run(root, files, O_RDONLY);
    const auto seen = live ? EntryFile::open(live.file.duplicate()) : nullptr;
    if (!seen || seen->record().key != key || seen->record().token != token) return nullptr;
    run = seen->record();
  }
  Descriptor directory = open_directory(root, files.directory);
  if (!directory) throw system_error("cannot open " + path, errno);
  MailboxSender mailbox = MailboxSender::open(directory.get(), files.promise);
  return std::make_unique<LocalPromise>(std::move(path), std::move(files), std::move(directory),
                                        std::move(run), std::move(live), std::move(mailbox));
}

}  // namespace memolock

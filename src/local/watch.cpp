#include "src/local/watch.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "src/local/fifo.hpp"

namespace memolock {
namespace {

constexpr std::string_view entry_stored = "!";

/// If the FIFO is full, it already contains such a byte, so a failure does not matter.
void notify_waiters(const Descriptor& fifo) { (void)try_write(fifo.get(), entry_stored); }

/// Opens the FIFO `name` to wait for its hang-up; empty if no process has it open for writing.
Descriptor open_wake_fifo(int directory, const std::string& name) {
  Descriptor wake = open_fifo(directory, name, O_RDONLY);
  if (!wake) return {};
  // poll(2) reports a hang-up only to a reader that had the FIFO open together with a writer. The
  // result of read(2) on an empty FIFO shows whether there is a writer. If the writer closes it
  // after that, poll(2) reports it.
  std::array<char, 64> discarded{};
  ssize_t got = 0;
  bool was_notified = false;
  while ((got = read(wake.get(), discarded.data(), discarded.size())) > 0) was_notified = true;
  const bool has_writer = got < 0 && errno == EAGAIN;
  if (was_notified && has_writer)
    notify_waiters(open_fifo(directory, name, O_WRONLY));  // other waiters must still see it
  return has_writer ? std::move(wake) : Descriptor();
}

/// The same open file, with its current size and times.
OwnedFile updated(Descriptor file) {
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return {};
  return owned_file(std::move(file), info);
}

class LocalWatch final : public Watch {
 public:
  LocalWatch(LiveRun live, Record run, Descriptor& last_wake_fifo,
             std::function<std::unique_ptr<Entry>()> look_up)
      : live_(std::move(live)),
        run_(std::move(run)),
        last_wake_fifo_(last_wake_fifo),
        look_up_(std::move(look_up)),
        since_(wall_now()) {}

  [[nodiscard]] const Record& run_record() const override { return run_; }
  [[nodiscard]] bool forgotten() const override { return has_forgotten_mark(live_.file.get()); }
  [[nodiscard]] bool may_have_changed() const override { return true; }

  [[nodiscard]] WaitResult wait(Nanoseconds deadline, int interrupt,
                                WaitObserver& observer) override {
    std::array<pollfd, 2> waiting{{{.fd = live_.wake_fifo.get(), .events = POLLIN, .revents = 0},
                                   {.fd = interrupt, .events = POLLIN, .revents = 0}}};
    for (;;) {
      const WaitEnd end = await_events(waiting, std::min(deadline, observer.next_notice()));
      if (end == WaitEnd::timed_out) {
        if (boot_now() >= deadline) return {WakeReason::timed_out, nullptr};
        observer.still_waiting();
        continue;
      }
      if (end == WaitEnd::interrupted) return {WakeReason::interrupted, nullptr};
      if ((waiting[0].revents & (POLLHUP | POLLERR)) != 0) return ended();
      if (auto entry = look_up_(); entry && entry->record().ended >= since_)
        return {WakeReason::answered, std::move(entry)};
      // That entry is too old. The byte stays in the FIFO, so from now on only wait for the end.
      waiting[0].events = 0;
    }
  }

 private:
  WaitResult ended() {
    last_wake_fifo_ = std::move(live_.wake_fifo);
    auto entry = EntryFile::open(updated(std::move(live_.file.descriptor)));
    const Disposition disposition = entry ? entry->record().disposition : Disposition::running;
    if (disposition == Disposition::running || disposition == Disposition::marked)
      return {WakeReason::gone, nullptr};
    return {WakeReason::answered, std::move(entry)};
  }

  LiveRun live_;
  Record run_;
  Descriptor& last_wake_fifo_;
  std::function<std::unique_ptr<Entry>()> look_up_;
  Nanoseconds since_;  // wall clock
};

}  // namespace

LiveRun open_run(int root, const EntryFileNames& files, int flags) {
  const std::string wake_name = files.directory + '/' + files.wake;
  Descriptor wake = open_wake_fifo(root, wake_name);
  if (!wake) return {};
  OwnedFile file = open_owned_file(root, files.directory + '/' + files.run, flags);
  // A run file is created only while no FIFO has its name. So if this FIFO still has its name, the
  // file belongs to the run of this FIFO.
  if (!file || !is_same_fifo(root, wake_name, wake.get())) return {};
  return {std::move(wake), std::move(file)};
}

std::unique_ptr<Watch> watch_run(int root, const Key& key, Descriptor& last_wake_fifo,
                                 std::function<std::unique_ptr<Entry>()> look_up) {
  const EntryFileNames files(key);
  if (last_wake_fifo &&
      is_same_fifo(root, files.directory + '/' + files.wake, last_wake_fifo.get()))
    return nullptr;
  LiveRun live = open_run(root, files, O_RDONLY);
  if (!live) return nullptr;
  const auto run = EntryFile::open(live.file.duplicate());
  if (!run || run->record().key != key) return nullptr;
  return std::make_unique<LocalWatch>(std::move(live), run->record(), last_wake_fifo,
                                      std::move(look_up));
}

void announce_entry(int directory, const EntryFileNames& files) {
  notify_waiters(open_fifo(directory, files.wake, O_WRONLY));
}

}  // namespace memolock

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
#include "src/store/file_names.hpp"

namespace memolock {
namespace {

constexpr std::string_view news = "!";

/// A FIFO that is full has enough.
void put_news(const Descriptor& fifo) { (void)try_write(fifo.get(), news); }

/// Opens the FIFO `name` for its hang-up; empty when nobody has it open for writing.
Descriptor open_wake(int folder, const std::string& name) {
  Descriptor wake = open_fifo(folder, name, O_RDONLY);
  if (!wake) return {};
  // poll reports a hang-up only to who has had the FIFO open together with a writer. Whether there
  // is one is what read says of an empty FIFO, and one who leaves after that is seen by poll, so
  // that none is missed.
  std::array<char, 64> taken{};
  ssize_t got = 0;
  bool may_have_changed = false;
  while ((got = read(wake.get(), taken.data(), taken.size())) > 0) may_have_changed = true;
  const bool has_writer = got < 0 && errno == EAGAIN;
  if (may_have_changed && has_writer)
    put_news(open_fifo(folder, name, O_WRONLY));  // others have yet to see it
  return has_writer ? std::move(wake) : Descriptor();
}

OwnedFile measured(Descriptor file) {
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return {};
  return owned_file(std::move(file), info);
}

class LocalWatch final : public Watch {
 public:
  LocalWatch(LiveRun live, Record run, Descriptor& ended,
             std::function<std::unique_ptr<Entry>()> look_up)
      : live_(std::move(live)),
        run_(std::move(run)),
        ended_(ended),
        look_up_(std::move(look_up)),
        since_(wall_now()) {}

  [[nodiscard]] const Record& run() const override { return run_; }
  [[nodiscard]] bool forgotten() const override { return has_forgotten_mark(live_.file.get()); }
  [[nodiscard]] bool may_have_changed() const override { return true; }

  [[nodiscard]] WaitResult wait(Nanoseconds deadline, int interrupt,
                                WaitObserver& observer) override {
    std::array<pollfd, 2> waiting{{{.fd = live_.wake.get(), .events = POLLIN, .revents = 0},
                                   {.fd = interrupt, .events = POLLIN, .revents = 0}}};
    for (;;) {
      const Ready ready = await_events(waiting, std::min(deadline, observer.next_notice()));
      if (ready == Ready::timed_out) {
        if (boot_now() >= deadline) return {WakeReason::timed_out, nullptr};
        observer.still_waiting();
        continue;
      }
      if (ready == Ready::interrupted) return {WakeReason::interrupted, nullptr};
      if ((waiting[0].revents & (POLLHUP | POLLERR)) != 0) return ended();
      if (auto entry = look_up_(); entry && entry->record().ended >= since_)
        return {WakeReason::answered, std::move(entry)};
      // It was there before; the byte stays, and from now on only the end counts.
      waiting[0].events = 0;
    }
  }

 private:
  WaitResult ended() {
    ended_ = std::move(live_.wake);
    auto entry = EntryFile::open(measured(std::move(live_.file.descriptor)));
    const Disposition disposition = entry ? entry->record().disposition : Disposition::running;
    if (disposition == Disposition::running || disposition == Disposition::marked)
      return {WakeReason::gone, nullptr};
    return {WakeReason::answered, std::move(entry)};
  }

  LiveRun live_;
  Record run_;
  Descriptor& ended_;
  std::function<std::unique_ptr<Entry>()> look_up_;
  Nanoseconds since_;  // wall clock
};

}  // namespace

LiveRun open_run(int root, const EntryFileNames& files, int flags) {
  const std::string wake_name = files.folder + '/' + files.wake;
  Descriptor wake = open_wake(root, wake_name);
  if (!wake) return {};
  OwnedFile file = open_owned(root, files.folder + '/' + files.run, flags);
  // A run file comes when no FIFO has the name, so while this one has it, the file is of its run.
  if (!file || !is_fifo_named(root, wake_name, wake.get())) return {};
  return {std::move(wake), std::move(file)};
}

std::unique_ptr<Watch> watch_run(int root, const Key& key, Descriptor& ended,
                                 std::function<std::unique_ptr<Entry>()> look_up) {
  const EntryFileNames files(key);
  if (ended && is_fifo_named(root, files.folder + '/' + files.wake, ended.get())) return nullptr;
  LiveRun live = open_run(root, files, O_RDONLY);
  if (!live) return nullptr;
  const auto run = EntryFile::open(live.file.duplicate());
  if (!run || run->record().key != key) return nullptr;
  return std::make_unique<LocalWatch>(std::move(live), run->record(), ended, std::move(look_up));
}

void announce_entry(int folder, const EntryFileNames& files) {
  put_news(open_fifo(folder, files.wake, O_WRONLY));
}

}  // namespace memolock

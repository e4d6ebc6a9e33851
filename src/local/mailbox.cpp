#include "src/local/mailbox.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "src/local/fifo.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

constexpr std::string_view word_look = "look\n";
constexpr std::string_view word_renew = "renew";

std::string renewal(std::optional<Nanoseconds> life) {
  using std::chrono::milliseconds;
  if (!life) return fmt::format("{}\n", word_renew);
  return fmt::format("{} {}\n", word_renew,
                     std::chrono::duration_cast<milliseconds>(*life).count());
}

/// For how long the line has the promise live; nothing: it is not a renewal.
std::optional<Nanoseconds> life_in(std::string_view line, Nanoseconds lease) noexcept {
  if (!line.starts_with(word_renew)) return std::nullopt;
  line.remove_prefix(word_renew.size());
  if (line.empty()) return lease;
  constexpr int64_t most = std::chrono::duration_cast<std::chrono::milliseconds>(forever).count();
  const char* const end = line.data() + line.size();
  int64_t count = 0;
  const auto [rest, error] = std::from_chars(line.data() + 1, end, count);
  if (line.front() != ' ' || error != std::errc() || rest != end || count < 0 || count > most)
    return std::nullopt;
  return std::chrono::milliseconds(count);
}

/// How many bytes a FIFO holds.
size_t size_of(int fifo) noexcept {
  const int size = fcntl(fifo, F_GETPIPE_SZ);
  return static_cast<size_t>(std::max(size, PIPE_BUF));
}

}  // namespace

Mailbox::Mailbox(Descriptor fifo)
    : fifo_(std::move(fifo)),
      capacity_(size_of(fifo_.get()) + PIPE_BUF),
      buffer_(std::make_unique_for_overwrite<char[]>(capacity_)) {}

std::optional<Nanoseconds> Mailbox::read(Nanoseconds lease) noexcept {
  // Bytes without a line feed that are longer than any record are dropped.
  if (kept_ > PIPE_BUF) kept_ = 0;
  const ssize_t got = ::read(fifo_.get(), buffer_.get() + kept_, capacity_ - kept_);
  if (got <= 0) return std::nullopt;
  std::string_view text(buffer_.get(), kept_ + static_cast<size_t>(got));
  std::optional<Nanoseconds> life;
  for (size_t end = 0; (end = text.find('\n')) != std::string_view::npos;) {
    life = std::max(life, life_in(text.substr(0, end), lease));
    text.remove_prefix(end + 1);
  }
  kept_ = text.size();
  std::copy(text.begin(), text.end(), buffer_.get());
  return life;
}

MailboxSender MailboxSender::open(int folder, std::string name) {
  MailboxSender sender;
  sender.folder_.reset(fcntl(folder, F_DUPFD_CLOEXEC, 3));
  sender.name_ = std::move(name);
  sender.fifo_ = open_fifo(folder, sender.name_, O_WRONLY);
  return sender;
}

/// What is left still has the holder look, and the last renewal in it stays: this process may end
/// before it has written its own. The end for reading is closed again before that, or there would
/// seem to be a reader.
bool MailboxSender::make_room() const {
  const Descriptor reader = open_fifo(folder_.get(), name_, O_RDONLY);
  struct stat mine {};
  struct stat its {};
  if (!reader || fstat(fifo_.get(), &mine) != 0 || fstat(reader.get(), &its) != 0) return false;
  if (mine.st_ino != its.st_ino || mine.st_dev != its.st_dev) return false;  // another run's
  // As much as a write may need; the rest of a line is not taken for one.
  std::array<char, PIPE_BUF> oldest{};
  (void)!::read(reader.get(), oldest.data(), oldest.size());
  return true;
}

bool MailboxSender::is_open() const noexcept {
  return fifo_ && is_fifo_named(folder_.get(), name_, fifo_.get());
}

bool MailboxSender::look() const noexcept {
  if (!fifo_) return false;
  const int error = try_write(fifo_.get(), word_look);
  return error == 0 || error == EAGAIN;  // its reader looks at whatever it holds
}

bool MailboxSender::renew(std::optional<Nanoseconds> life) const {
  constexpr int most_tries = 100;
  if (!fifo_) return false;
  const std::string line = renewal(life);
  for (int tries = 0; tries < most_tries; ++tries) {
    const int error = try_write(fifo_.get(), line);
    if (error != EAGAIN) return error == 0;
    // Its holder does not read while the command runs. The oldest in it are not needed: renewals,
    // which later ones replace, and words that have the holder look, as all the others do, too.
    if (!make_room()) return false;
  }
  throw store_error("cannot renew the promise: its mailbox is full again and again");
}

}  // namespace memolock

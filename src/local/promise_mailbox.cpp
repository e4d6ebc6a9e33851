#include "src/local/promise_mailbox.hpp"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "src/local/fifo.hpp"
#include "src/system/error.hpp"
#include "src/system/owned_file.hpp"

namespace memolock {
namespace {

constexpr std::string_view notification = "look\n";
constexpr std::string_view renew_word = "renew";

std::string format_renewal(std::optional<Nanoseconds> life) {
  using std::chrono::milliseconds;
  if (!life) return fmt::format("{}\n", renew_word);
  return fmt::format("{} {}\n", renew_word,
                     std::chrono::duration_cast<milliseconds>(*life).count());
}

/// The time by which the record extends the promise; nothing if it is not a renewal.
std::optional<Nanoseconds> parse_renewal(std::string_view line, Nanoseconds lease) noexcept {
  if (!line.starts_with(renew_word)) return std::nullopt;
  line.remove_prefix(renew_word.size());
  if (line.empty()) return lease;
  constexpr int64_t most = std::chrono::duration_cast<std::chrono::milliseconds>(forever).count();
  const char* const end = line.data() + line.size();
  int64_t count = 0;
  const auto [rest, error] = std::from_chars(line.data() + 1, end, count);
  if (line.front() != ' ' || error != std::errc() || rest != end || count < 0 || count > most)
    return std::nullopt;
  return std::chrono::milliseconds(count);
}

/// The capacity of a FIFO in bytes.
size_t capacity_of(int fifo) noexcept {
  const int size = fcntl(fifo, F_GETPIPE_SZ);
  return static_cast<size_t>(std::max(size, PIPE_BUF));
}

}  // namespace

MailboxReceiver::MailboxReceiver(Descriptor fifo)
    : fifo_(std::move(fifo)),
      capacity_(capacity_of(fifo_.get()) + PIPE_BUF),
      buffer_(std::make_unique_for_overwrite<char[]>(capacity_)) {}

std::optional<Nanoseconds> MailboxReceiver::read(Nanoseconds lease) noexcept {
  // Bytes without a line feed that are longer than any record are discarded.
  if (kept_ > PIPE_BUF) kept_ = 0;
  const ssize_t got = ::read(fifo_.get(), buffer_.get() + kept_, capacity_ - kept_);
  if (got <= 0) return std::nullopt;
  std::string_view text(buffer_.get(), kept_ + static_cast<size_t>(got));
  std::optional<Nanoseconds> life;
  for (size_t end = 0; (end = text.find('\n')) != std::string_view::npos;) {
    life = std::max(life, parse_renewal(text.substr(0, end), lease));
    text.remove_prefix(end + 1);
  }
  kept_ = text.size();
  std::copy(text.begin(), text.end(), buffer_.get());
  return life;
}

MailboxSender MailboxSender::open(int directory, std::string name) {
  MailboxSender sender;
  sender.directory_.reset(fcntl(directory, F_DUPFD_CLOEXEC, 3));
  sender.name_ = std::move(name);
  sender.fifo_ = open_fifo(directory, sender.name_, O_WRONLY);
  return sender;
}

/// Discards the oldest PIPE_BUF bytes of the mailbox, as many as a write may need. If that cuts a
/// line, the rest of the line is not a valid record. Newer renewals are not discarded, because this
/// process may end before it has written its own. The FIFO is closed for reading before that write,
/// because this process would otherwise look like a reader. Returns false if the mailbox no longer
/// exists.
bool MailboxSender::make_room() const {
  const Descriptor reader = open_fifo(directory_.get(), name_, O_RDONLY);
  if (!reader || !is_same_file(fifo_.get(), reader.get())) return false;  // it is another run's
  std::array<char, PIPE_BUF> oldest{};
  (void)!::read(reader.get(), oldest.data(), oldest.size());
  return true;
}

bool MailboxSender::is_open() const noexcept {
  return fifo_ && is_same_fifo(directory_.get(), name_, fifo_.get());
}

bool MailboxSender::notify() const noexcept {
  if (!fifo_) return false;
  const int error = try_write(fifo_.get(), notification);
  return error == 0 || error == EAGAIN;  // any record in it makes the holder look for an answer
}

bool MailboxSender::renew(std::optional<Nanoseconds> life) const {
  constexpr int most_tries = 100;
  if (!fifo_) return false;
  const std::string line = format_renewal(life);
  for (int tries = 0; tries < most_tries; ++tries) {
    const int error = try_write(fifo_.get(), line);
    if (error != EAGAIN) return error == 0;
    // The holder does not read while the command runs. The oldest records are not needed: this
    // renewal replaces earlier ones, and any record makes the holder look for an answer.
    if (!make_room()) return false;
  }
  throw store_error("cannot renew the promise: its queue stays full");
}

}  // namespace memolock

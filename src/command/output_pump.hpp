// Moves the stdout and stderr of a command from their pipes into a spool and on to the caller.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <array>
#include <functional>
#include <memory>

#include "src/command/output_forwarder.hpp"
#include "src/entry/spool.hpp"
#include "src/system/clock.hpp"
#include "src/system/descriptor.hpp"

namespace memolock {

/// The pipes of one command. A pipe is open until it has been read to its end, given up on, or set
/// aside at its deadline. When the spool refuses the output, the pipe is relayed: its forwarder
/// reads the rest and passes it on to the caller at the caller's pace.
///
/// For the thread that runs the event loop only: the caller polls source() and destination() and
/// calls read() and write() when poll(2) reports something, or to try again. No call blocks. add()
/// allocates everything, so that nothing throws after the start of the command.
class OutputPump {
 public:
  /// `on_refusal` is called once when the output can no longer be stored, before the first byte
  /// that bypasses the spool is passed on.
  explicit OutputPump(std::function<void()> on_refusal) : on_refusal_(std::move(on_refusal)) {}
  OutputPump(const OutputPump&) = delete;
  OutputPump& operator=(const OutputPump&) = delete;

  /// Creates the pipe of a stream (out or err) before the command is started. Returns its write end
  /// for the command, which stays open until close_write_ends(). Throws Error(store).
  [[nodiscard]] int add(Stream stream, std::shared_ptr<Spool> spool,
                        std::shared_ptr<OutputForwarder> forwarder);

  /// To be called after the start of the command.
  void close_write_ends() noexcept;

  /// The events for which read() and write() wait.
  [[nodiscard]] pollfd source(Stream stream) const noexcept;
  [[nodiscard]] pollfd destination(Stream stream) const noexcept;

  void read(Stream stream) noexcept;
  /// Has an effect only for a forwarder without a thread.
  void write(Stream stream) noexcept;

  /// The command has exited: from now on its pipes have deadlines, on the awake_now() clock:
  /// `stdout_deadline` for stdout, and for stderr a tenth of a second after both the exit and the
  /// end of stdout.
  void command_exited(Nanoseconds stdout_deadline) noexcept;
  /// When the next pipe is to be set aside; forever while the command runs.
  [[nodiscard]] Nanoseconds next_deadline() const noexcept;
  /// Sets the pipes aside whose deadline has passed, after reading their current content.
  void set_aside_overdue(Nanoseconds now) noexcept;

  /// The pipes that are not at their end, and how many of them are relayed.
  [[nodiscard]] int open_count() const noexcept;
  [[nodiscard]] int relayed_count() const noexcept;

  /// Whether write() has been called since the last call of this function.
  [[nodiscard]] bool take_progress() noexcept { return std::exchange(has_written_, false); }
  /// Whether a pipe could not be read and is to be tried again soon; clears that flag.
  [[nodiscard]] bool take_retry() noexcept { return std::exchange(retry_, false); }
  /// The errno with which reading a pipe failed until it was given up; 0: none was given up.
  [[nodiscard]] int read_error() const noexcept { return read_error_; }

  /// The read end of a pipe that was set aside before its end; empty otherwise. Frees the buffer of
  /// the stream, so that the process that passes on the rest does not get a copy of it.
  [[nodiscard]] Descriptor take_late(Stream stream) noexcept;

 private:
  struct Channel {
    Stream stream = Stream::out;
    Pipe pipe;  // has no read end if it is closed or the forwarder has it
    std::shared_ptr<Spool> spool;
    std::shared_ptr<OutputForwarder> forwarder;
    Chunk chunk;              // the data that was read last
    bool is_relayed = false;  // the forwarder has the pipe
    bool is_queued = false;   // the forwarder has the chunk, and no thread
    bool is_set_aside = false;
    Nanoseconds failing_since = forever;  // on the awake_now() clock
    Nanoseconds deadline = forever;       // on the awake_now() clock
    Descriptor late;                      // the read end, once it has been set aside
  };

  [[nodiscard]] Channel& channel(Stream stream) {
    return channels_.at(static_cast<size_t>(stream));
  }
  [[nodiscard]] const Channel& channel(Stream stream) const {
    return channels_.at(static_cast<size_t>(stream));
  }
  [[nodiscard]] static bool is_open(const Channel& channel) noexcept {
    return channel.pipe.read_end || channel.is_relayed;
  }
  [[nodiscard]] Nanoseconds deadline_of(const Channel& channel) const noexcept;
  void set_aside(Channel& channel) noexcept;
  void read_available(Channel& channel) noexcept;
  ssize_t read_once(Channel& channel) noexcept;
  void note_read_error(Channel& channel, int error) noexcept;
  void store(Channel& channel) noexcept;
  static void enlarge_buffer(Channel& channel) noexcept;
  void refuse() noexcept;
  void bypass_spool(Channel& channel) noexcept;
  void close(Channel& channel) noexcept;
  void end(Channel& channel, Descriptor late) noexcept;

  std::function<void()> on_refusal_;
  std::array<Channel, 2> channels_;
  int read_error_ = 0;
  bool is_refused_ = false;
  bool has_exited_ = false;  // the command
  bool has_written_ = false;
  bool retry_ = false;
};

}  // namespace memolock

#include "src/system/write_streams.hpp"

#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <climits>
#include <optional>
#include <thread>

#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"
#include "src/system/owned_file.hpp"

namespace memolock {
namespace {

struct Errors {
  int out = 0;
  int err = 0;
};

Errors out_first(const StreamWrite& out, const StreamWrite& err) noexcept {
  const int of_out = out.write();
  return {of_out, err.write()};
}

Errors err_first(const StreamWrite& out, const StreamWrite& err) noexcept {
  const int of_err = err.write();
  return {out.write(), of_err};
}

/// Uses a thread for stderr. If no thread can be started, writes one stream after the other.
Errors at_once(const StreamWrite& out, const StreamWrite& err) noexcept {
  Errors errors;
  std::thread other;
  if (failure_of([&] { other = std::thread([&] { errors.err = err.write(); }); }))
    return out_first(out, err);
  errors.out = out.write();
  other.join();
  return errors;
}

/// Whether writing the stream cannot block, because it fits into the free space of the pipe.
bool cannot_block(const StreamWrite& writing, const pollfd& now) noexcept {
  return writing.size <= PIPE_BUF && (now.revents & POLLOUT) != 0;
}

struct Places {
  struct stat out {};
  struct stat err {};
  bool known = false;

  [[nodiscard]] bool may_be_one() const { return !known || is_same_file(out, err); }
};

Places places_of(const StreamWrite& out, const StreamWrite& err) noexcept {
  Places places;
  places.known = fstat(out.to, &places.out) == 0 && fstat(err.to, &places.err) == 0;
  return places;
}

/// A thread is the last resort, because it costs more than the rest of the call. None is needed if
/// one of the streams cannot block and is written first, or if both go to one reader.
Errors write_in_best_order(const StreamWrite& out, const StreamWrite& err) noexcept {
  if (out.size == 0 || err.size == 0) return out_first(out, err);
  // Another thread is already writing to stderr; stdout must not be written between its bytes.
  if (err.size == size_unknown && places_of(out, err).may_be_one()) return err_first(out, err);
  std::array<pollfd, 2> now{{{.fd = out.to, .events = POLLOUT, .revents = 0},
                             {.fd = err.to, .events = POLLOUT, .revents = 0}}};
  (void)poll(now.data(), now.size(), 0);
  if (cannot_block(out, now[0])) return out_first(out, err);
  const Places places = places_of(out, err);
  if (places.may_be_one() || S_ISREG(places.out.st_mode)) return out_first(out, err);
  if (cannot_block(err, now[1]) || S_ISREG(places.err.st_mode)) return err_first(out, err);
  return at_once(out, err);
}

}  // namespace

int write_streams(const StreamWrite& out, const StreamWrite& err) noexcept {
  const Errors errors = write_in_best_order(out, err);
  if (errors.out != 0 && !reader_has_left(errors.out)) return errors.out;
  return reader_has_left(errors.err) ? 0 : errors.err;
}

}  // namespace memolock

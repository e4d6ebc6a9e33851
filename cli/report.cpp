#include "cli/report.hpp"

#include <fcntl.h>

#include <cerrno>

#include "cli/json.hpp"
#include "src/descriptor.hpp"
#include "src/error.hpp"

namespace memolock {
namespace {

const char* name_of(How how) {
  switch (how) {
    case How::hit:
      return "hit";
    case How::miss:
      return "miss";
    case How::ran:
      return "ran";
    case How::skipped:
      return "skipped";
    case How::waited:
      return "waited";
    case How::stale:
      return "stale";
    case How::bypass:
      return "bypass";
    case How::absent:
      return "absent";
    case How::timeout:
      return "timeout";
    case How::interrupted:
      return "interrupted";
    case How::error:
      return "error";
    case How::background:
      return "background";
  }
  return "";
}

}  // namespace

void append_report(const std::string& file, const Key& key, const Outcome& outcome,
                   const Log& log) {
  Json line;
  line.set("time", seconds(wall_now()));
  line.set("outcome", name_of(outcome.how));
  line.set("tag", key.tag);
  line.set("id", key.id);
  line.set("status", outcome.status);
  line.set("age", seconds(outcome.age));
  line.set("run_time", seconds(outcome.run_time));
  line.set("saved", seconds(saved_a_run(outcome) ? outcome.run_time : Nanoseconds(0)));
  line.set("store_error", outcome.store_error.empty() ? Json() : Json(outcome.store_error));
  const std::string text = line.text() + "\n";

  // A FIFO that nobody reads, or that is full, must not make the call hang.
  constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  const Descriptor to(open(file.c_str(), flags, 0666));
  const int error = to ? try_write(to.get(), text) : errno;
  if (error == 0) return;
  log.warn("cannot write the report {}: {}", escape_controls(file),
           error == EAGAIN ? "its reader does not read" : error_text(error));
}

}  // namespace memolock

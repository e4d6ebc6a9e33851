#include "cli/report.hpp"

#include <fcntl.h>

#include <cerrno>

#include <nlohmann/json.hpp>

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
  }
  return "";
}

nlohmann::ordered_json seconds(const std::optional<Nanoseconds>& length) {
  if (!length) return nullptr;
  return std::chrono::duration<double>(*length).count();
}

/// The run that this call did not have to do itself.
bool saved_a_run(How how) { return how == How::hit || how == How::waited || how == How::stale; }

}  // namespace

void append_report(const std::string& file, const Key& key, const Outcome& outcome,
                   const Log& log) {
  nlohmann::ordered_json line;
  line["time"] = std::chrono::duration<double>(wall_now()).count();
  line["outcome"] = name_of(outcome.how);
  line["tag"] = key.tag;
  line["id"] = key.id;
  line["status"] = outcome.status;
  line["age"] = seconds(outcome.age);
  line["run_time"] = seconds(outcome.run_time);
  line["saved"] = seconds(saved_a_run(outcome.how) ? outcome.run_time : Nanoseconds(0));
  line["store_error"] = outcome.store_error.empty() ? nlohmann::ordered_json()
                                                    : nlohmann::ordered_json(outcome.store_error);
  // An id may hold any bytes; JSON may not.
  const std::string text = line.dump(-1, ' ', false,
                                     nlohmann::ordered_json::error_handler_t::replace) +
                           "\n";

  const Descriptor to(open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
  const int error = to ? write_all(to.get(), text) : errno;
  if (error != 0)
    log.warn("cannot write the report {}: {}", escape_controls(file), error_text(error));
}

}  // namespace memolock

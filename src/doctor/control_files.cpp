#include "src/doctor/control_files.hpp"

#include <string>

#include "src/command/control_file.hpp"

namespace memolock {

Finding examine_control_files() {
  constexpr const char* subject = "control";
  ControlFile file;
  (void)file.make();
  if (const std::string& error = file.error(); !error.empty())
    return {Finding::Severity::fail, subject,
            "no result can be stored: MEMOLOCK_CONTROL cannot be made: " + error,
            file.advice().empty() ? "see why files cannot be made in /tmp" : file.advice()};
  if (const std::string& why = file.why_own_directory(); !why.empty())
    return {Finding::Severity::advice, subject, "each run makes a directory of its own: " + why,
            "remove " + control_directory() + ", or have its owner do so"};
  return {Finding::Severity::ok, subject, "commands can say how long their results are kept", ""};
}

}  // namespace memolock

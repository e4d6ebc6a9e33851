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
            "no result can be stored: cannot create MEMOLOCK_CONTROL: " + error,
            file.advice().empty() ? "check why files cannot be created in /tmp" : file.advice()};
  if (const std::string& why = file.why_own_directory(); !why.empty())
    return {Finding::Severity::advice, subject, "each run creates its own directory: " + why,
            "remove " + control_directory() + ", or ask its owner to"};
  return {Finding::Severity::ok, subject, "commands can set how long their results are stored", ""};
}

}  // namespace memolock

#include <unistd.h>

#include "cli/completion_scripts.hpp"
#include "cli/option_values.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/descriptor.hpp"
#include "src/error.hpp"

namespace memolock {

Exit run_completion(const Options& options, const Log&) {
  if (options.command.size() != 1) throw usage_error("completion: name one shell");
  const std::string_view script = choice(options.command.front(), completion_scripts);
  if (const int error = write_all(STDOUT_FILENO, script))
    throw store_error("cannot write the script: " + error_text(error));
  return {};
}

}  // namespace memolock

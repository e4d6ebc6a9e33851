#include "cli/completion_scripts.hpp"
#include "cli/option_values.hpp"
#include "cli/output.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/system/error.hpp"

namespace memolock {

ProcessEnd run_completion(const Options& options, const Log&) {
  if (options.words.size() != 1) throw usage_error("name one shell: bash, zsh or fish");
  print("the script", choice(options.words.front(), completion_scripts));
  return {};
}

}  // namespace memolock

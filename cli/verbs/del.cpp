#include <unistd.h>

#include <fmt/format.h>

#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/descriptor.hpp"
#include "src/error.hpp"

namespace memolock {
namespace {

size_t count_all(Store& store, const std::string& tag) {
  size_t count = 0;
  store.list(tag, [&](const Listing&) { ++count; });
  return count;
}

}  // namespace

Exit run_del(const Options& options, const Log& log) {
  if (options.all && !options.ids.empty()) throw usage_error("--all and --id exclude each other");
  if (options.all && !options.tag_on_command_line)
    throw usage_error("--all needs a --tag on the command line");
  if (!options.all && options.ids.empty()) throw usage_error("give --id, or --all and --tag");

  const auto store = open_store(choose_store(options.store), log);
  size_t count = 0;
  if (options.all)
    count = options.dry_run ? count_all(*store, options.tag) : store->forget_all(options.tag);
  for (const std::string& id : options.ids) {
    const Key key{options.tag, id};
    if (options.dry_run ? store->knows(key) : store->forget(key)) ++count;
  }
  if (const int error = write_all(STDOUT_FILENO, fmt::format("{}\n", count)))
    throw store_error("cannot write the count: " + error_text(error));
  return {};
}

}  // namespace memolock

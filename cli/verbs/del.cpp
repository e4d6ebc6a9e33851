#include <unistd.h>

#include <fmt/format.h>

#include "cli/store_choice.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/descriptor.hpp"
#include "src/error.hpp"

namespace memolock {
namespace {

std::vector<Key> all_of_tag(Store& store, const std::string& tag) {
  std::vector<Key> keys;
  store.list([&](const Listing& listing) {
    if (listing.record.key.tag == tag) keys.push_back(listing.record.key);
  });
  return keys;
}

std::vector<Key> named(Store& store, const std::string& tag, const std::vector<std::string>& ids) {
  std::vector<Key> keys;
  for (const std::string& id : ids)
    if (Key key{tag, id}; store.knows(key)) keys.push_back(std::move(key));
  return keys;
}

}  // namespace

Exit run_del(const Options& options, const Log& log) {
  if (options.all && !options.ids.empty()) throw usage_error("--all and --id exclude each other");
  if (options.all && !options.tag_on_command_line)
    throw usage_error("--all needs a --tag on the command line");
  if (!options.all && options.ids.empty()) throw usage_error("give --id, or --all and --tag");

  const auto store = open_store(choose_store(options.store), log);
  size_t count = 0;
  for (const Key& key :
       options.all ? all_of_tag(*store, options.tag) : named(*store, options.tag, options.ids))
    if (options.dry_run || store->forget(key)) ++count;
  if (const int error = write_all(STDOUT_FILENO, fmt::format("{}\n", count)))
    throw store_error("cannot write the count: " + error_text(error));
  return {};
}

}  // namespace memolock

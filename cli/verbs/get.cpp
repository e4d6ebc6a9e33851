#include "src/promise/get.hpp"

#include "cli/verbs/run_with_store.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/system/error.hpp"

namespace memolock {
namespace {

/// Derives the id. The option rules ensure that there is an id or a command, which derive_key_id()
/// requires. A bypassed call reads no inputs, so that it behaves as if there were no cache.
DerivedId derived_id_of(const Options& options) {
  const KeyInputs given = key_inputs(options);
  KeyInputs inputs;
  inputs.directory = given.directory;
  if (!options.bypass) inputs = given;
  return derive_key_id(options.ids.empty() ? "" : options.ids.back(), options.words, inputs);
}

/// Warns that no entry can be found or stored, because the id is incomplete. The command runs
/// nevertheless. Throws Error(usage) if the call makes no sense without an entry.
void warn_of_missing_id(const Options& options, const std::string& fault, const Log& log) {
  if (options.bypass) return;
  if (options.words.empty() || options.policy.producer == Producer::external)
    throw usage_error(fault + "; it is part of the id");
  log.warn("{}; the result is not stored", fault);
}

}  // namespace

ProcessEnd run_get(const Options& options, const Log& log) {
  const DerivedId derived = derived_id_of(options);
  const bool has_id = derived.error.empty();
  if (!has_id) warn_of_missing_id(options, derived.error, log);
  // An id that lacks one of its parts would be the id of another entry.
  Request request = request_of(options, {options.tag, has_id ? derived.id : ""});
  request.input = derived.input.get();
  if (!has_id) request.uncached = true;
  return run_with_store(options, request, get, log);
}

}  // namespace memolock

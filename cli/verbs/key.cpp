#include "cli/output.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/inputs/derived_id.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"

namespace memolock {

ProcessEnd run_key(const Options& options, const Log& log) {
  const DerivedId identity = identify(options.ids.empty() ? "" : options.ids.back(), options.words,
                                      key_inputs(options));
  if (!identity.error.empty())
    throw usage_error(identity.error + "; without --no-key-cwd it is part of the id");
  // The hash comes first: all hashes have the same length, so differences between two machines are
  // easy to see.
  for (const KeyPart& part : identity.parts)
    log.info("{} {} {}", part.digest, part.kind, escape_controls(part.name));
  print("the id", identity.id + '\n');
  return {};
}

}  // namespace memolock

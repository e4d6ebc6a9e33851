#include "cli/output.hpp"
#include "cli/verbs/verbs.hpp"
#include "src/inputs/derived_id.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"

namespace memolock {

ProcessEnd run_key(const Options& options, const Log& log) {
  // A rule of options requires an id or a command, as identify() does.
  const DerivedId identity = identify(options.ids.empty() ? "" : options.ids.back(), options.words,
                                      key_inputs(options));
  if (!identity.fault.empty())
    throw usage_error(identity.fault + "; without --no-key-cwd it is part of the id");
  // The hash first: it is as long as any other, so what differs between two machines stands out.
  for (const KeyPart& part : identity.parts)
    log.info("{} {} {}", part.digest, part.kind, escape_controls(part.name));
  print("the id", identity.id + '\n');
  return {};
}

}  // namespace memolock

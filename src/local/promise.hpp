// How other processes keep a promise in the local store (--external).
//
// The run's holder has a mailbox (local/mailbox.hpp). An outcome comes as an entry file under the
// name ID.TOKEN.answer, which is linked there complete: who makes the name first has ended the run,
// and the holder makes it when the promise's life is over.
#pragma once

#include <memory>
#include <string>

#include "src/entry/key.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// As Store::promise, for the store whose open folder is `root` and whose path is `directory`.
[[nodiscard]] std::unique_ptr<Promise> local_promise(const std::string& directory, int root,
                                                     const Key& key, const std::string& token);

}  // namespace memolock

// The context of one call of `get`, `lock` or `once`.
#pragma once

#include "src/entry/request.hpp"
#include "src/promise/process_launcher.hpp"
#include "src/store/store.hpp"
#include "src/system/log.hpp"
#include "src/system/signals.hpp"

namespace memolock {

/// References to objects of the caller. They must outlive the call, and are used only by the
/// calling thread.
struct CallContext {
  const Request& request;
  Store& store;
  Signals& signals;
  const Log& log;
  ProcessLauncher& launcher;
};

}  // namespace memolock

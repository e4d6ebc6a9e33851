#include "src/promise/replay.hpp"

#include <unistd.h>

#include "src/artifacts/restore.hpp"
#include "src/entry/freshness.hpp"
#include "src/system/error.hpp"
#include "src/system/write_streams.hpp"

namespace memolock {

uint64_t streams_size(const Record& record) {
  const uint64_t sum = record.out_size + record.err_size;
  return sum < record.out_size ? UINT64_MAX : sum;
}

void restore_artifacts(const Request& request, Entry& entry, const Signals& signals) {
  const Record& record = entry.record();
  if (request.artifacts.empty() || !record.succeeded()) return;
  const auto archive = entry.files();
  if (!archive) throw store_error("the stored artifacts are damaged");
  restore(*archive, record.artifacts, request.artifacts, request.max_entry - streams_size(record),
          signals.descriptor());
}

Outcome replay(Entry& entry, OutcomeKind kind, Store& store, const Signals& signals,
               FunctionRef<int> before_err) noexcept {
  const Record& record = entry.record();
  Outcome outcome = make_outcome(kind, record.status);
  (void)failure_of([&] { outcome.age = age_of(record, store.now()); });
  outcome.run_time = record.run_time;
  outcome.bytes = record.out_size + record.err_size;
  signals.unblock();
  const auto write_err = [&] {
    const int error = before_err ? before_err() : 0;
    const int write_error = entry.write(Stream::err, STDERR_FILENO);
    return error != 0 ? error : write_error;
  };
  outcome.output_error = write_streams(
      {STDOUT_FILENO, record.out_size,
       [&entry] { return entry.write(Stream::out, STDOUT_FILENO); }},
      {STDERR_FILENO, before_err ? size_unknown : record.err_size, write_err});
  return outcome;
}

}  // namespace memolock

// A run of the local store whose outcome other processes deliver (--external), seen from both
// sides.
//
// The holder of the run lock creates a mailbox (local/promise_mailbox.hpp), starts the command and
// then sleeps until there is an answer or the promise has expired. An answer is an entry file that
// is linked to the name ID.TOKEN.answer once it is complete. Whichever process is the first to
// create that name ends the run; the holder creates it when the promise has expired. Without a
// token, or if the run has no mailbox, an outcome is stored as the entry itself. An entry that was
// stored after the run began is also an answer.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/entry/key.hpp"
#include "src/local/promise_mailbox.hpp"
#include "src/store/entry_file.hpp"
#include "src/store/file_names.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// The holder's side. The run lock must be held for its lifetime. One thread may use it.
class PromiseHolder {
 public:
  /// Creates the mailbox of the run with this token in `directory`, which must stay open; `path` is
  /// its path, for messages. Throws Error(store).
  PromiseHolder(int directory, const std::string& path, const EntryFileNames& files,
                const std::string& token);
  /// Removes the mailbox and the answer.
  ~PromiseHolder();
  PromiseHolder(const PromiseHolder&) = delete;
  PromiseHolder& operator=(const PromiseHolder&) = delete;

  struct Result {
    WakeReason reason;
    std::unique_ptr<EntryFile> answer;  ///< intact; null unless answered
  };
  /// See Lock::await_promise(). Does not end the run: the caller publishes the answer.
  [[nodiscard]] Result await(Nanoseconds life, int interrupt, WaitObserver& observer);

 private:
  [[nodiscard]] std::unique_ptr<EntryFile> find_answer() const;
  [[nodiscard]] bool refuse_answers() const;

  int directory_;
  std::string mailbox_name_;
  std::string answer_name_;
  std::string entry_name_;
  std::string previous_entry_;  // the token of the entry that existed when the run began
  std::optional<MailboxReceiver> mailbox_;
};

/// The side of the other processes: implements Store::open_promise() for the store whose directory
/// is open as `root` and has the path `store_path`. Throws Error(store).
[[nodiscard]] std::unique_ptr<Promise> open_promise(const std::string& store_path, int root,
                                                    const Key& key, const std::string& token);

}  // namespace memolock

// tests/e2e/server_process.h: `mneme serve` as a child that can be killed.

#ifndef MNEME_TESTS_E2E_SERVER_PROCESS_H_
#define MNEME_TESTS_E2E_SERVER_PROCESS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mneme::e2e {

// Starts `arguments` (the program first), its output in the file `log`.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& arguments,
                            const std::string& log);

// A server on a free port of the loopback; killed when destroyed.
// Threads:  one, but Kill may come from another while a call is under way.
class ServerProcess {
 public:
  // `scratch`: a directory for the data, the log and the ready file.
  ServerProcess(std::string mneme, std::string scratch)
      : mneme_(std::move(mneme)), scratch_(std::move(scratch)) {}
  ~ServerProcess() { Kill(); }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // Starts the process; it does not serve yet.
  absl::Status Begin();
  // Waits until it serves. Errors: with the server's log when it ends first.
  absl::Status AwaitReady();
  absl::Status Start();

  // kill -9; nothing when it does not run.
  void Kill();
  // SIGTERM; returns the exit code, or 128 and the signal that ended it.
  absl::StatusOr<int> Stop();

  bool Running();
  // What it holds now: bytes of physical memory, and open files.
  uint64_t ResidentBytes() const;
  uint64_t OpenFiles() const;
  // What it held at most, in bytes of physical memory.
  uint64_t PeakResidentBytes() const;
  const std::string& address() const { return address_; }

 private:
  uint64_t StatusBytes(const std::string& field) const;
  std::string ReadyFile() const { return scratch_ + "/ready"; }
  std::string LogFile() const { return scratch_ + "/log"; }

  const std::string mneme_;
  const std::string scratch_;
  std::string address_;
  pid_t pid_ = 0;  // 0: none.
};

}  // namespace mneme::e2e

#endif  // MNEME_TESTS_E2E_SERVER_PROCESS_H_

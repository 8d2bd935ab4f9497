#include "tests/e2e/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace mneme::e2e {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kStart{60};  // A sanitizer's build on a busy machine.
constexpr seconds kStop{30};
constexpr milliseconds kPoll{5};

std::string ContentOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& arguments,
                            const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY,
                                   0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return absl::ErrnoToStatus(error, arguments[0]);
  return pid;
}

absl::Status ServerProcess::Begin() {
  ::unlink(ReadyFile().c_str());
  ASSIGN_OR_RETURN(
      pid_, Spawn({mneme_, "serve", "--data", scratch_ + "/data", "--listen",
                   "127.0.0.1:0", "--metrics-listen", "", "--log-level",
                   "warning", "--ready-file", ReadyFile()},
                  LogFile()));
  return absl::OkStatus();
}

absl::Status ServerProcess::AwaitReady() {
  const auto deadline = steady_clock::now() + kStart;
  while (steady_clock::now() < deadline && Running()) {
    const std::string ready = ContentOf(ReadyFile());
    if (ready.ends_with('\n')) {
      address_ = ready.substr(0, ready.find('\n'));
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(kPoll);
  }
  Kill();
  return absl::InternalError(
      absl::StrCat("the server did not start:\n", ContentOf(LogFile())));
}

absl::Status ServerProcess::Start() {
  RETURN_IF_ERROR(Begin());
  return AwaitReady();
}

void ServerProcess::Kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

absl::StatusOr<int> ServerProcess::Stop() {
  if (pid_ == 0) return absl::InternalError("the server does not run");
  ::kill(pid_, SIGTERM);
  const auto deadline = steady_clock::now() + kStop;
  int status = 0;
  while (steady_clock::now() < deadline) {
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = 0;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    std::this_thread::sleep_for(kPoll);
  }
  Kill();
  return absl::InternalError("the server did not stop");
}

bool ServerProcess::Running() {
  if (pid_ == 0) return false;
  if (::waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = 0;
  return false;
}

uint64_t ServerProcess::StatusBytes(const std::string& field) const {
  std::ifstream status(absl::StrCat("/proc/", pid_, "/status"));
  for (std::string word; status >> word;) {
    uint64_t kib = 0;
    if (word == field && status >> kib) return kib << 10;
  }
  return 0;
}

uint64_t ServerProcess::ResidentBytes() const { return StatusBytes("VmRSS:"); }

uint64_t ServerProcess::OpenFiles() const {
  std::error_code gone;
  const std::filesystem::directory_iterator files(
      absl::StrCat("/proc/", pid_, "/fd"), gone);
  return gone ? 0 : std::distance(files, {});
}

uint64_t ServerProcess::PeakResidentBytes() const {
  return StatusBytes("VmHWM:");
}

}  // namespace mneme::e2e

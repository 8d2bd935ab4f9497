#include "service/serve.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "mneme/v1/memory_service.grpc.pb.h"

namespace mneme::service {
namespace {

// Signals and the log level belong to the process, so each server here is one.
class ServeTest : public ::testing::Test {
 protected:
  ServeTest() {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    directory_ = std::filesystem::path(::testing::TempDir()) /
                 ("mneme_serve_" + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
  }
  ~ServeTest() override { std::filesystem::remove_all(directory_); }

  static int Run(std::vector<std::string> flags) {
    std::vector<const char*> argv = {"mneme"};
    for (const std::string& flag : flags) argv.push_back(flag.c_str());
    return Serve(static_cast<int>(argv.size()), argv.data());
  }

  std::string Path(const std::string& name) const {
    return (directory_ / name).string();
  }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }

  // Serves with `flags`, asks the address in the ready file for its stats,
  // stops by SIGTERM; returns the exit code, or 99 when it did not answer.
  int RunUntilAnswered(std::vector<std::string> flags) const {
    const std::string ready = Path("ready");
    flags.insert(flags.end(), {"--ready-file", ready});
    bool answered = false;
    std::thread client([&] {
      std::string address;
      while (!std::getline(std::ifstream(ready), address)) {
        std::this_thread::yield();
      }
      const auto stub = v1::MemoryService::NewStub(
          grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
      grpc::ClientContext context;
      v1::StatsRequest request;
      v1::StatsResponse response;
      answered = stub->Stats(&context, request, &response).ok();
      kill(getpid(), SIGTERM);
    });
    const int code = Run(flags);
    client.join();
    const bool removed = !std::filesystem::exists(ready);
    std::filesystem::remove_all(directory_);  // This process ends here.
    return answered && removed ? code : 99;
  }

  std::filesystem::path directory_;
};

TEST_F(ServeTest, HelpIsNoFailureAndShowsExamples) {
  ::testing::internal::CaptureStdout();
  const int code = Run({"--help"});
  const std::string help = ::testing::internal::GetCapturedStdout();
  EXPECT_EQ(code, 0);
  for (const char* part :
       {"--data", "--listen", "--metrics-listen", "--threads", "--queue",
        "--log-level", "--ready-file", "--drain-seconds", "--allow-remote",
        "--config", "127.0.0.1:7788", "Examples:"}) {
    EXPECT_NE(help.find(part), std::string::npos) << part << "\n" << help;
  }
}

TEST_F(ServeTest, WrongFlagsAreTheUsersMistake) {
  EXPECT_EQ(Run({"--nonsense"}), 2);
  EXPECT_EQ(Run({"--log-level", "loud"}), 2);
  EXPECT_EQ(Run({"--drain-seconds", "-1"}), 2);
  EXPECT_EQ(Run({"--config", Path("missing.toml")}), 2);
  EXPECT_EQ(Run({"--config", Write("bad.toml", "nonsense = 1\n")}), 2);
  EXPECT_EQ(Run({"--data", Path("d"), "--listen", "nonsense"}), 2);
}

TEST_F(ServeTest, AnAddressThatOthersReachIsRefused) {
  EXPECT_EQ(Run({"--data", Path("d"), "--listen", "0.0.0.0:0",
                 "--metrics-listen", ""}),
            5);
}

TEST_F(ServeTest, SaysWhereItListensAndStopsOnSigterm) {
  EXPECT_EXIT(
      std::_Exit(RunUntilAnswered({"--data", Path("d"), "--listen",
                                   "127.0.0.1:0", "--metrics-listen", ""})),
      ::testing::ExitedWithCode(0), "\"event\":\"stopped\"");
}

TEST_F(ServeTest, AFileSaysWhatFlagsSay) {
  const std::string config =
      Write("mneme.toml", "data = \"" + Path("d") +
                              "\"\n"
                              "listen = [\"127.0.0.1:0\", \"unix:" +
                              Path("s.sock") +
                              "\"]\n"
                              "metrics-listen = \"\"\n"
                              "threads = 2\n"
                              "log-level = \"warning\"\n");
  // At level warning nothing is logged.
  EXPECT_EXIT(std::_Exit(RunUntilAnswered({"--config", config})),
              ::testing::ExitedWithCode(0), "^$");
}

TEST_F(ServeTest, ADataDirectoryInUseIsRefused) {
  const auto first = OpenInProcess(Path("d"), true);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(OpenInProcess(Path("d"), true).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(ServeTest, AProcessReachesItsOwnServer) {
  const auto server = OpenInProcess(Path("d"), true);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto stub = v1::MemoryService::NewStub((*server)->InProcessChannel());
  grpc::ClientContext context;
  v1::CreateSessionRequest request;
  request.set_session("namespaces/n/sessions/s");
  request.set_profile_name("text");
  v1::CreateSessionResponse response;
  EXPECT_TRUE(stub->CreateSession(&context, request, &response).ok());
}

}  // namespace
}  // namespace mneme::service

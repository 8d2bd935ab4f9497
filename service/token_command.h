// service/token_command.h: the command `mneme token`, which makes and edits the
// file of `mneme serve --tokens`.

#ifndef MNEME_SERVICE_TOKEN_COMMAND_H_
#define MNEME_SERVICE_TOKEN_COMMAND_H_

namespace mneme::service {

// Runs `mneme token new|list|revoke`: argv[0] is the program, what follows are
// the words after "token". A new token goes to standard output, alone and once;
// everything else about it goes to standard error. Returns 0, 2 for wrong flags
// or a file that is no list of tokens, 3 when there is nothing to revoke, 1 for
// a file that cannot be written.
// Threads:  once in a process, on its main thread.
int TokenCommand(int argc, const char* const* argv);

}  // namespace mneme::service

#endif  // MNEME_SERVICE_TOKEN_COMMAND_H_

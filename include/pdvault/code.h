/*
 * The status codes of an answer: numbers and names of google.rpc.Code
 * (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto).
 * Both ends of the wire make their enums and texts from this list.
 */
#ifndef PDVAULT_CODE_H
#define PDVAULT_CODE_H

#ifdef __cplusplus
extern "C" {
#endif

#define PDV_CODES(X)                  \
	X(OK, 0)                      \
	X(CANCELLED, 1)               \
	X(UNKNOWN, 2)                 \
	X(INVALID_ARGUMENT, 3)        \
	X(DEADLINE_EXCEEDED, 4)       \
	X(NOT_FOUND, 5)               \
	X(ALREADY_EXISTS, 6)          \
	X(PERMISSION_DENIED, 7)       \
	X(RESOURCE_EXHAUSTED, 8)      \
	X(FAILED_PRECONDITION, 9)     \
	X(ABORTED, 10)                \
	X(OUT_OF_RANGE, 11)           \
	X(UNIMPLEMENTED, 12)          \
	X(INTERNAL, 13)               \
	X(UNAVAILABLE, 14)            \
	X(DATA_LOSS, 15)              \
	X(UNAUTHENTICATED, 16)

#define PDV_CODE_ENUM(name, number) PDV_##name = number,
enum pdv_code { PDV_CODES(PDV_CODE_ENUM) };
#undef PDV_CODE_ENUM

#ifdef __cplusplus
}
#endif

#endif /* PDVAULT_CODE_H */

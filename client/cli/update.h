/*
 * What `subject update` and `billing update` share: they differ in the input they take.
 */
#ifndef CLI_UPDATE_H
#define CLI_UPDATE_H

#include "args.h"
#include "subject_input.h"

typedef enum pdv_code (*update_reader)(const struct args *a, struct subject_input *in,
    struct failure *f);

/*
 * update_run(a, read, f):
 * Change identity first and then billing, whichever ${read} found in the input, and print
 * the new etags. Two calls are not one: if the second fails the first stands.
 */
enum pdv_code update_run(const struct args *a, update_reader read, struct failure *f);

#endif /* CLI_UPDATE_H */

/* shardtrain: learn from datasets. One file per verb; the work is done in train/. */
#include "config.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/shardtrain/verbs.h"

/* OpenMP threads that wait must sleep: decoding needs the cores. The runtimes read the policy when
 * they are loaded, before main(), so the program starts itself once more with it. Where that is
 * impossible it runs as it is, only slower. */
static void
wait_passively(char **argv)
{
    if (getenv("OMP_WAIT_POLICY") != NULL || setenv("OMP_WAIT_POLICY", "PASSIVE", 1) < 0)
        return;
    (void)execv("/proc/self/exe", argv);
}

int
main(int argc, char **argv)
{
    static const struct cli_verb verbs[] = {
        {"fit", verb_fit, "train a model on a dataset"},
        {"resume", verb_resume, "go on with a run that was stopped"},
        {"eval", verb_eval, "measure a model on a split of a dataset"},
        {"predict", verb_predict, "label lines or JSON records"},
        {"info", verb_info, "say what a run is and how far it got"},
        {0},
    };
    static const char *const later[] = {"export", NULL};
    static const struct cli_program program = {"shardtrain", "Train models on Shardline datasets.",
                                               verbs, later};

    wait_passively(argv);
    /* Freed row groups go back to the system rather than stay as holes in the heap: --memory's
     * promise is about the resident set. */
    (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
    return cli_main(&program, argc, argv);
}

/* The generated tables, compiled once. See sizeclass.h and README.md. */
#include "sizeclass_table.h"

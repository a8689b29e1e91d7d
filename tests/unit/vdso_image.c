/* An image for test_vdso.c: some symbols that it has, and one that it only refers to. */
int image_first(void);
int image_second(void);
int image_third(void);
int image_undefined(void);

int image_first(void) {
    return 1;
}

int image_second(void) {
    return image_undefined();
}

int image_third(void) {
    return 3;
}

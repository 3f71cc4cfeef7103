/* Making an image of an interpreter (image.c). */

/* Everything reachable becomes immortal and everything allocated the image's. -1 if memory is out. */
int image_freeze(void);

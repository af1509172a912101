/** Environment variable by which all processes of an attempt are known, however far they went from their parents. */
export const attemptVariable = 'ALOFT_ATTEMPT';

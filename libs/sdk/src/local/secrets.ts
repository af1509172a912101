/** Environment variable that carries a secret to a local process, named as flytekit names it. */
export const secretVariable = (key: string, group: string): string =>
  `_FSEC_${group ? `${group.toUpperCase()}_` : ''}${key.toUpperCase()}`;

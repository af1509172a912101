/** Version of this SDK, as task templates carry it. */
export const sdkVersion = '0.1.0';

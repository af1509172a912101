import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import {
  AuthMetadataServiceService,
  type OAuth2MetadataRequest,
  type OAuth2MetadataResponse,
  type PublicClientAuthConfigRequest,
  type PublicClientAuthConfigResponse,
} from '@aloft/idl/flyteidl/service/auth';
import {
  IdentityServiceService,
  type UserInfoRequest,
  type UserInfoResponse,
} from '@aloft/idl/flyteidl/service/identity';
import type { GetVersionRequest, GetVersionResponse } from '@aloft/idl/flyteidl/admin/version';
import { Inject } from '@nestjs/common';
import { BuildInformation } from './build-information.js';

/** Who asks. */
@GrpcController(IdentityServiceService)
export class IdentityController implements Handlers<typeof IdentityServiceService> {
  async userInfo(_request: UserInfoRequest, { principal }: CallContext): Promise<UserInfoResponse> {
    return {
      subject: principal.subject,
      name: principal.name ?? '',
      preferredUsername: principal.name ?? '',
      givenName: '',
      familyName: '',
      email: principal.email ?? '',
      picture: '',
      additionalClaims: undefined,
    };
  }
}

/** What a server without login tells clients: no endpoints, no client to log in with. */
@GrpcController(AuthMetadataServiceService)
export class AuthMetadataController implements Handlers<typeof AuthMetadataServiceService> {
  async getOAuth2Metadata(_request: OAuth2MetadataRequest): Promise<OAuth2MetadataResponse> {
    return {
      issuer: '',
      authorizationEndpoint: '',
      tokenEndpoint: '',
      responseTypesSupported: [],
      scopesSupported: [],
      tokenEndpointAuthMethodsSupported: [],
      jwksUri: '',
      codeChallengeMethodsSupported: [],
      grantTypesSupported: [],
      deviceAuthorizationEndpoint: '',
    };
  }

  async getPublicClientConfig(_request: PublicClientAuthConfigRequest): Promise<PublicClientAuthConfigResponse> {
    return {
      clientId: '',
      redirectUri: '',
      scopes: [],
      authorizationMetadataKey: 'flyte-authorization',
      serviceHttpEndpoint: '',
      audience: '',
    };
  }
}

/** */
@GrpcController(AdminServiceService)
export class VersionController implements Pick<Handlers<typeof AdminServiceService>, 'getVersion'> {
  constructor(@Inject(BuildInformation) private readonly build: BuildInformation) {}

  async getVersion(_request: GetVersionRequest): Promise<GetVersionResponse> {
    const { version, build, time } = this.build;
    return { controlPlaneVersion: { Version: version, Build: build, BuildTime: time } };
  }
}
